//! `dead`: list, show and replay tasks that were given up on.

use super::{run::say, table::table};
use crate::{
    app::App,
    clock::UnixMillis,
    dead_letters::DeadLetter,
    error::{BrokerError, WorkerError},
};
use serde_json::json;
use std::{
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};

/// What can be done with dead letters.
#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum DeadCommand {
    /// List them, oldest first
    List {
        #[command(flatten)]
        place: Place,
        /// At most so many of each queue
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one: arguments, error, attempts, times
    Show {
        /// The task's id
        id: String,
        #[command(flatten)]
        place: Place,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put some back into their queues, to be run again from the first attempt
    Replay {
        /// The ids of the tasks
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
}

/// Where to look.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Place {
    /// Only the dead letters of this queue [default: of every queue of the app]
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
}

/// The answer, as text to print.
pub(super) async fn answer(app: &App, command: &DeadCommand) -> Result<String, WorkerError> {
    app.started().await?;
    match command {
        DeadCommand::List { place, limit, json } => list(app, place, *limit, *json).await,
        DeadCommand::Show { id, place, json } => show(app, place, id, *json).await,
        DeadCommand::Replay { ids, place } => replay(app, place, ids).await,
    }
}

async fn list(app: &App, place: &Place, limit: usize, as_json: bool) -> Result<String, WorkerError> {
    let mut letters = Vec::new();
    for queue in place.queues(app) {
        match app.dead_letters(&queue).list(limit).await {
            Ok(found) => letters.extend(found),
            Err(error) => place.skip(error)?,
        }
    }
    if as_json {
        let letters: Vec<_> = letters.iter().map(object).collect();
        return Ok(format!("{:#}\n", serde_json::Value::from(letters)));
    }
    if letters.is_empty() {
        return Ok("no dead letters\n".to_owned());
    }
    let rows: Vec<_> = letters.iter().map(row).collect();
    Ok(table(["ID", "TASK", "QUEUE", "KIND", "ATTEMPTS", "LAST FAILED", "ERROR"], &rows))
}

async fn show(app: &App, place: &Place, id: &str, as_json: bool) -> Result<String, WorkerError> {
    for queue in place.queues(app) {
        match app.dead_letters(&queue).get(id).await {
            Ok(Some(letter)) if as_json => return Ok(format!("{:#}\n", object(&letter))),
            Ok(Some(letter)) => return Ok(page(&letter)),
            Ok(None) => {}
            Err(error) => place.skip(error)?,
        }
    }
    Err(place.not_found(id))
}

/// Replays what is there, and says so letter by letter; what is not there is an error after that.
async fn replay(app: &App, place: &Place, ids: &[String]) -> Result<String, WorkerError> {
    let mut missing = None;
    for id in ids {
        match replay_one(app, place, id).await? {
            true => say(&format!("replayed {id}\n"))?,
            false => missing = Some(id),
        }
    }
    missing.map_or(Ok(String::new()), |id| Err(place.not_found(id)))
}

async fn replay_one(app: &App, place: &Place, id: &str) -> Result<bool, WorkerError> {
    for queue in place.queues(app) {
        match app.dead_letters(&queue).replay(id).await {
            Ok(Some(_)) => return Ok(true),
            Ok(None) => {}
            Err(error) => place.skip(error)?,
        }
    }
    Ok(false)
}

impl Place {
    fn queues(&self, app: &App) -> Vec<String> {
        match &self.queue {
            Some(queue) => vec![queue.clone()],
            None => app.queues().iter().map(|spec| spec.name().to_owned()).collect(),
        }
    }

    /// A queue that others own need not have dead letters.
    fn skip(&self, error: BrokerError) -> Result<(), WorkerError> {
        match error {
            BrokerError::Unroutable { .. } if self.queue.is_none() => Ok(()),
            error => Err(error.into()),
        }
    }

    fn not_found(&self, id: &str) -> WorkerError {
        let place = match &self.queue {
            Some(queue) => format!("queue `{queue}`"),
            None => "this app's queues".to_owned(),
        };
        WorkerError::Invalid {
            what: format!("task {id}"),
            reason: format!("is not among the dead letters of {place}; `dead list` shows them"),
        }
    }
}

fn row(letter: &DeadLetter) -> [String; 7] {
    [
        id(letter),
        letter.task.clone(),
        letter.queue.clone(),
        letter.kind.as_str().to_owned(),
        letter.attempts.to_string(),
        time(letter.last_failed),
        letter.error.lines().next().unwrap_or_default().to_owned(),
    ]
}

fn page(letter: &DeadLetter) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14}{}", value.replace('\n', "\n              "));
    };
    line("id", &id(letter));
    line("task", &letter.task);
    line("queue", &letter.queue);
    line("kind", letter.kind.as_str());
    line("error", &letter.error);
    for source in &letter.chain {
        line("  because", source);
    }
    line("attempts", &letter.attempts.to_string());
    line("round", &letter.round.to_string());
    line("first failed", &time(letter.first_failed));
    line("last failed", &time(letter.last_failed));
    for (name, value) in &letter.labels {
        line("label", &format!("{name} = {value}"));
    }
    line("arguments", &format!("{:#}", arguments(&letter.body)));
    text
}

fn object(letter: &DeadLetter) -> serde_json::Value {
    json!({
        "id": letter.id.as_ref().map(|id| id.as_str()),
        "task": letter.task,
        "queue": letter.queue,
        "kind": letter.kind.as_str(),
        "error": letter.error,
        "chain": letter.chain,
        "attempts": letter.attempts,
        "round": letter.round,
        "first_failed": letter.first_failed.map(rfc3339),
        "last_failed": letter.last_failed.map(rfc3339),
        "labels": letter.labels,
        "arguments": arguments(&letter.body),
    })
}

/// The arguments as they would be written in JSON; what cannot be read, as hexadecimal text.
fn arguments(body: &[u8]) -> serde_json::Value {
    // A JSON object starts with a byte that MessagePack reads as the number 123.
    let read = match body.first() {
        Some(b'{') => serde_json::from_slice(body).ok(),
        _ => rmp_serde::from_slice(body).ok(),
    };
    read.unwrap_or_else(|| body.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

fn id(letter: &DeadLetter) -> String {
    letter.id.as_ref().map_or("-".to_owned(), ToString::to_string)
}

fn time(at: Option<UnixMillis>) -> String {
    at.map_or("-".to_owned(), rfc3339)
}

fn rfc3339(at: UnixMillis) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(at.0)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_shown_as_json_whatever_they_are() {
        let body = rmp_serde::to_vec_named(&json!({"a": 1, "b": "x"})).unwrap();
        assert_eq!(arguments(&body), json!({"a": 1, "b": "x"}));
        assert_eq!(arguments(br#"{"a": 1}"#), json!({"a": 1}));
        assert_eq!(arguments(&[0xc1, 0x00]), json!("c100"));
        assert_eq!(arguments(b""), json!(""));
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(time(Some(UnixMillis(1_000_000_000_999))), "2001-09-09T01:46:40Z");
        assert_eq!(time(None), "-");
    }
}
