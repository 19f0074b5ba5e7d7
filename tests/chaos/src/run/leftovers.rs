//! What servers hold when all is over: results, dead letters, queues, keys.

use super::{
    progress::Progress,
    servers::{Depth, Servers},
};
use crate::{cast, plan::Queue};
use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    time::{Duration, Instant},
};
use taskq::{End, FailureKind, TaskId, prelude::*};

/// What the checker compares the ledgers with.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// By id.
    pub(crate) results: HashMap<String, Ended>,
    /// How many letters there are, by id.
    pub(crate) letters: HashMap<String, u32>,
    pub(crate) depths: Vec<Depth>,
    pub(crate) keys_without_ttl: Vec<String>,
    /// Lines of the broker's log about acks of deliveries that it does not know.
    pub(crate) unknown_acks: Vec<String>,
}

/// A recorded end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Done { attempts: u32, value: String },
    Failed { attempts: u32, kind: FailureKind },
    Discarded,
    Cancelled,
    Expired,
}

const ENOUGH: usize = 1_000_000;

/// All keys that would stay for ever.
const WITHOUT_TTL: &str = "local found, cursor = {}, '0'
repeat
  local page = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do if redis.call('PTTL', key) == -1 then table.insert(found, key) end end
until cursor == '0'
return table.concat(found, ' ')";

/// Waits until all queues but the dead letters are empty and stay so, and all tasks have ended.
pub(crate) async fn drain(servers: &Servers, progress: &Progress, cap: Duration) -> Result<Vec<Depth>, Box<dyn Error>> {
    let end = Instant::now() + cap;
    let mut stable = 0;
    loop {
        let depths = servers.depths().await;
        let is_over = !depths.is_empty() && depths.iter().all(Depth::is_drained) && progress.in_flight() == 0;
        stable = if is_over { stable + 1 } else { 0 };
        if stable == 3 || Instant::now() > end {
            let unknown = "the node does not say what is in its queues";
            return if depths.is_empty() { Err(unknown.into()) } else { Ok(depths) };
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Reads what is left, past the proxies.
pub(crate) async fn read(
    servers: &Servers,
    ids: BTreeSet<String>,
    depths: Vec<Depth>,
    unknown_acks: Vec<String>,
) -> Result<Leftovers, Box<dyn Error>> {
    let app = cast::app("checker", servers.broker_urls.iter().map(String::as_str), &servers.redis_url);
    app.startup().await?;
    let results = results(&app, ids).await?;
    let mut letters = HashMap::new();
    for queue in Queue::DECLARED {
        for letter in app.dead_letters(queue.name()).list(ENOUGH).await? {
            *letters.entry(letter.id.map(|id| id.to_string()).unwrap_or_default()).or_default() += 1;
        }
    }
    app.shutdown().await?;
    let found = servers.redis.lock().await.command(&["EVAL", WITHOUT_TTL, "0"]).await?.text()?;
    let keys_without_ttl = found.split_whitespace().map(str::to_owned).collect();
    Ok(Leftovers { results, letters, depths, keys_without_ttl, unknown_acks })
}

async fn results(app: &App, ids: BTreeSet<String>) -> Result<HashMap<String, Ended>, Box<dyn Error>> {
    let backend = app.results().ok_or("the app has no results")?;
    let mut found = HashMap::new();
    for id in ids {
        if let Some(record) = backend.fetch(&TaskId::from(id.as_str())).await? {
            found.insert(id, ended(record));
        }
    }
    Ok(found)
}

fn ended(record: taskq::ResultRecord) -> Ended {
    let attempts = record.attempts;
    match record.end {
        End::Done(value) => Ended::Done { attempts, value: text(&value) },
        End::Failed(failure) => Ended::Failed { attempts, kind: failure.kind },
        End::Discarded(_) => Ended::Discarded,
        End::Cancelled => Ended::Cancelled,
        End::Expired => Ended::Expired,
    }
}

/// A MessagePack string without its header: tags are what tasks return.
fn text(value: &[u8]) -> String {
    let start = match value.first() {
        Some(0xd9) => 2,
        Some(0xda) => 3,
        _ => 1,
    };
    String::from_utf8_lossy(value.get(start..).unwrap_or_default()).into_owned()
}
