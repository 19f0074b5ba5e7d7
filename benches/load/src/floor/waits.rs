//! Waiting for results as taskq does: enter oneself and look, then listen on one channel for all.

use super::results::Results;
use crate::{clock, protocol::Place};
use anyhow::{Result, bail};
use futures_util::StreamExt;
use redis::{Client, Pipeline};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// How long a process stays among those who wait.
const WAITER_TTL_MILLIS: u64 = 60_000;

/// Who is waited for, by task.
type Wakes = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

/// All waits of this process.
#[derive(Clone)]
pub(super) struct Waits {
    results: Results,
    process: Arc<str>,
    wakes: Wakes,
}

impl Waits {
    pub(super) async fn listen(place: &Place) -> Result<Self> {
        let results = Results::connect(place).await?;
        let process: Arc<str> = format!("{:032x}", u128::from(clock::now())).into();
        let wakes = Wakes::default();
        let (mut sink, mut messages) = Client::open(place.redis.as_str())?.get_async_pubsub().await?.split();
        sink.subscribe(format!("{}:wake:{process}", place.prefix)).await?;
        let woken = wakes.clone();
        tokio::spawn(async move {
            let _subscribed = sink;
            while let Some(message) = messages.next().await {
                let id = String::from_utf8_lossy(message.get_payload_bytes());
                if let Some(wake) = locked(&woken).remove(&*id) {
                    // Whoever waited may have gone.
                    let _ = wake.send(());
                }
            }
        });
        Ok(Waits { results, process, wakes })
    }

    /// Enters this process among those who wait for the task, and looks whether it has ended.
    pub(super) async fn enter(&self, id: &str) -> Result<Wait<'_>> {
        let (wake, woken) = oneshot::channel();
        locked(&self.wakes).insert(id.to_owned(), wake);
        let waiters = self.results.key(id, "w");
        let mut commands = Pipeline::with_capacity(3);
        commands.cmd("SADD").arg(&waiters).arg(&*self.process).ignore();
        commands.cmd("PEXPIRE").arg(&waiters).arg(WAITER_TTL_MILLIS).ignore();
        commands.cmd("GET").arg(self.results.key(id, "r"));
        let (record,): (Option<Vec<u8>>,) = commands.query_async(&mut self.results.connection()).await?;
        Ok(Wait { waits: self, id: id.to_owned(), woken: record.is_none().then_some(woken) })
    }
}

/// One wait that stands.
pub(super) struct Wait<'a> {
    waits: &'a Waits,
    id: String,
    /// `None` if the result was there at once.
    woken: Option<oneshot::Receiver<()>>,
}

impl Wait<'_> {
    /// Resolves when the result is here.
    pub(super) async fn ended(self) -> Result<()> {
        let Some(woken) = self.woken else {
            locked(&self.waits.wakes).remove(&self.id);
            return Ok(());
        };
        woken.await?;
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("GET").arg(self.waits.results.key(&self.id, "r"));
        match commands.query_async::<(Option<Vec<u8>>,)>(&mut self.waits.results.connection()).await? {
            (Some(_),) => Ok(()),
            (None,) => bail!("task {} was said to have ended, and has no result", self.id),
        }
    }
}

fn locked(wakes: &Wakes) -> MutexGuard<'_, HashMap<String, oneshot::Sender<()>>> {
    wakes.lock().unwrap_or_else(PoisonError::into_inner)
}
