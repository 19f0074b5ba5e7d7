//! Records that are stored together: one way to the server and back for many first ends of tasks.

use crate::{
    link::COMMAND_LIMIT,
    live::Shared,
    operations::{self, millis},
    trouble::Trouble,
};
use futures_util::future::join_all;
use redis::{Cmd, FromRedisValue, RedisResult, Value};
use std::{sync::Arc, time::Duration};
use taskq_core::{ResultError, ResultRecord, TaskId};

/// So many bytes of records go together at most.
const BYTES: usize = 4 * 1024 * 1024;

/// How many words the command of a record has, and what they take besides the key and the record.
const SET_ARGS: usize = 6;
const SET_BYTES: usize = 32;

const MEMBERS: &str = "SMEMBERS";

/// A record to be stored.
pub(crate) struct Entry {
    pub(crate) id: TaskId,
    pub(crate) round: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) ttl: Duration,
}

/// What storing gives: an earlier record, if there is one.
pub(crate) type Earlier = Result<Option<ResultRecord>, ResultError>;

/// What became of a record.
enum Written {
    Kept,
    /// Something is in its place, or the server does not take this one: to be looked at alone.
    Otherwise,
    Failed(Trouble),
}

/// Stores all of them; gives what became of each, in their order.
pub(crate) async fn store(shared: Arc<Shared>, entries: Vec<Entry>) -> Vec<Earlier> {
    // In a cluster every task may be in another slot, and a later round may have to replace a record.
    if shared.link.address().is_cluster() || entries.iter().any(|entry| entry.round > 0) {
        return join_all(entries.iter().map(|entry| store_alone(&shared, entry))).await;
    }
    let mut outcomes = Vec::with_capacity(entries.len());
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let (group, others) = rest.split_at(first_group(rest));
        let written = write(&shared, group).await;
        rest = others;
        if written.iter().all(|written| matches!(written, Written::Kept)) {
            outcomes.extend(group.iter().map(|_| Ok(None)));
            continue;
        }
        outcomes
            .extend(join_all(group.iter().zip(written).map(|(entry, written)| ended(&shared, entry, written))).await);
    }
    outcomes
}

async fn store_alone(shared: &Shared, entry: &Entry) -> Earlier {
    operations::store(shared, &entry.id, entry.round, &entry.bytes, entry.ttl).await
}

async fn ended(shared: &Shared, entry: &Entry, written: Written) -> Earlier {
    match written {
        Written::Kept => Ok(None),
        Written::Otherwise => store_alone(shared, entry).await,
        Written::Failed(trouble) => Err(shared.error(trouble)),
    }
}

/// How many go together. One that is larger than a group is a group.
fn first_group(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        bytes += entry.bytes.len();
        bytes <= BYTES
    };
    entries.iter().take_while(fits).count().max(1)
}

/// Writes records where none are.
async fn write(shared: &Arc<Shared>, entries: &[Entry]) -> Vec<Written> {
    let mut commands = redis::Pipeline::with_capacity(2 * entries.len());
    commands.ignore_errors();
    for entry in entries {
        commands.add_command(set_first(&shared.keys.record(&entry.id), entry));
        commands.add_command(members(&shared.keys.waiters(&entry.id)));
    }
    match shared.link.ask::<Vec<RedisResult<Value>>>(&commands, Some(COMMAND_LIMIT)).await {
        Ok(replies) => read(shared, entries, replies),
        Err(trouble) => entries.iter().map(|_| Written::Failed(trouble.clone())).collect(),
    }
}

fn set_first(key: &str, entry: &Entry) -> Cmd {
    let mut set = Cmd::with_capacity(SET_ARGS, key.len() + entry.bytes.len() + SET_BYTES);
    set.arg("SET").arg(key).arg(&entry.bytes).arg("NX").arg("PX").arg(millis(entry.ttl));
    set
}

fn members(key: &str) -> Cmd {
    let mut members = Cmd::with_capacity(2, MEMBERS.len() + key.len());
    members.arg(MEMBERS).arg(key);
    members
}

fn read(shared: &Arc<Shared>, entries: &[Entry], replies: Vec<RedisResult<Value>>) -> Vec<Written> {
    let mut replies = replies.into_iter();
    let mut waited_for = Vec::new();
    let mut written = Vec::with_capacity(entries.len());
    for entry in entries {
        written.push(match (replies.next(), replies.next()) {
            (Some(Ok(Value::Okay)), Some(Ok(waiters))) => {
                let waiters = Vec::<String>::from_redis_value(waiters).unwrap_or_default();
                if !waiters.is_empty() {
                    waited_for.push((entry.id.clone(), waiters));
                }
                Written::Kept
            }
            _ => Written::Otherwise,
        });
    }
    if !waited_for.is_empty() {
        let telling = shared.clone();
        // The acks do not wait for it; closing does.
        drop(shared.telling.spawn(async move { operations::wake(&telling, &waited_for).await }));
    }
    written
}
