//! First ends of tasks, written together: whatever has come while one group was on its way is the next group.

use crate::{
    link::COMMAND_LIMIT,
    live::Shared,
    operations::{self, millis},
    trouble::Trouble,
};
use redis::{FromRedisValue, RedisResult, Value};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use taskq_core::TaskId;
use tokio::sync::{Notify, oneshot};

/// So many records, or bytes of them, are one group at most.
const RECORDS: usize = 256;
const BYTES: usize = 4 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct Group {
    waiting: Mutex<VecDeque<Entry>>,
    wanted: Notify,
}

struct Entry {
    id: TaskId,
    record: Vec<u8>,
    ttl: Duration,
    written: oneshot::Sender<Written>,
}

/// What became of a record.
pub(crate) enum Written {
    Kept,
    /// Something is in its place, or the server does not take this one: to be looked at alone.
    Otherwise(Vec<u8>),
    Failed(Trouble),
}

impl Group {
    /// Writes a record where none is.
    pub(crate) async fn write(&self, id: TaskId, record: Vec<u8>, ttl: Duration) -> Written {
        let (written, hears) = oneshot::channel();
        self.waiting().push_back(Entry { id, record, ttl, written });
        self.wanted.notify_one();
        hears.await.unwrap_or_else(|_| Written::Failed(Trouble::closed()))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Entry>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Vec<Entry> {
        loop {
            let entries = self.take();
            if !entries.is_empty() {
                return entries;
            }
            self.wanted.notified().await;
        }
    }

    fn take(&self) -> Vec<Entry> {
        let mut waiting = self.waiting();
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.record.len();
            bytes <= BYTES
        };
        // One that is larger than a group is a group.
        let count = waiting.iter().take(RECORDS).take_while(fits).count().max(1).min(waiting.len());
        waiting.drain(..count).collect()
    }
}

/// Writes group after group, for as long as the backend lives.
pub(crate) async fn write_groups(shared: Arc<Shared>) {
    loop {
        let entries = shared.group.next().await;
        let mut commands = redis::Pipeline::with_capacity(2 * entries.len());
        commands.ignore_errors();
        for entry in &entries {
            let set = commands.cmd("SET").arg(shared.keys.record(&entry.id)).arg(&entry.record);
            set.arg("NX").arg("PX").arg(millis(entry.ttl));
            commands.cmd("SMEMBERS").arg(shared.keys.waiters(&entry.id));
        }
        match shared.link.ask::<Vec<RedisResult<Value>>>(&commands, Some(COMMAND_LIMIT)).await {
            Ok(replies) => tell_all(&shared, entries, replies),
            Err(trouble) => entries.into_iter().for_each(|entry| tell(entry.written, Written::Failed(trouble.clone()))),
        }
    }
}

fn tell_all(shared: &Arc<Shared>, entries: Vec<Entry>, replies: Vec<RedisResult<Value>>) {
    let mut replies = replies.into_iter();
    let mut waited_for = Vec::new();
    for entry in entries {
        match (replies.next(), replies.next()) {
            (Some(Ok(Value::Okay)), Some(Ok(waiters))) => {
                let waiters = Vec::<String>::from_redis_value(waiters).unwrap_or_default();
                if !waiters.is_empty() {
                    waited_for.push((entry.id, waiters));
                }
                tell(entry.written, Written::Kept);
            }
            _ => tell(entry.written, Written::Otherwise(entry.record)),
        }
    }
    if !waited_for.is_empty() {
        let shared = shared.clone();
        // The next group does not wait for it.
        drop(tokio::spawn(async move { operations::wake(&shared, &waited_for).await }));
    }
}

fn tell(written: oneshot::Sender<Written>, what: Written) {
    // Whoever stored it may not wait for that.
    let _ = written.send(what);
}
