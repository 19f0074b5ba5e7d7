//! What is said to Redis, command by command.

use crate::{link::COMMAND_LIMIT, live::Shared, trouble::Trouble, waiters::Look};
use futures_util::future::try_join_all;
use redis::{Pipeline, Value};
use std::{slice, time::Duration};
use taskq_core::{BoxError, ResultError, ResultRecord, Step, TaskId};

/// How long a process stays among those who wait for a task after it was last entered, which it is every 15 seconds.
const WAITER_TTL: Duration = Duration::from_secs(60);
/// How long telling those who wait may hold up a store that is done. Their own next look is the net under it.
pub(crate) const WAKE_LIMIT: Duration = Duration::from_secs(1);
/// Redis cannot count to every instant that a `Duration` can name.
const LONGEST_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Replaces the record that was read before, unless it is another one by now.
const REPLACE: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return false
";

/// Keeps the record of `round` unless there is one of its round or a higher one, and tells those who wait.
pub(crate) async fn store(
    shared: &Shared,
    id: &TaskId,
    round: u32,
    ours: &[u8],
    ttl: Duration,
) -> Result<Option<ResultRecord>, ResultError> {
    let mut lower = None;
    loop {
        let (kept, waiters) = put(shared, id, ours, lower.as_deref(), ttl).await.map_err(|t| shared.error(t))?;
        if kept {
            wake(shared, &[(id.clone(), waiters)]).await;
            return Ok(None);
        }
        let theirs = get(shared, id).await.map_err(|t| shared.error(t))?;
        let Some(bytes) = theirs else {
            // It has expired since: there is room for ours.
            lower = None;
            continue;
        };
        let theirs = decoded(id, &bytes)?;
        if theirs.round < round {
            lower = Some(bytes);
            continue;
        }
        // Whoever wrote it may have died before telling.
        wake(shared, &[(id.clone(), waiters)]).await;
        // The reply to an earlier try may have been lost: then this record is ours.
        return Ok((bytes != ours).then_some(theirs));
    }
}

/// Writes `ours` where nothing is, or in the place of `lower`; tells whether it did, and who waits.
async fn put(
    shared: &Shared,
    id: &TaskId,
    ours: &[u8],
    lower: Option<&[u8]>,
    ttl: Duration,
) -> Result<(bool, Vec<String>), Trouble> {
    let mut commands = redis::pipe();
    let key = shared.keys.record(id);
    match lower {
        None => commands.cmd("SET").arg(key).arg(ours).arg("NX").arg("PX").arg(millis(ttl)),
        Some(lower) => commands.cmd("EVAL").arg(REPLACE).arg(1).arg(key).arg(lower).arg(ours).arg(millis(ttl)),
    };
    commands.cmd("SMEMBERS").arg(shared.keys.waiters(id));
    let (reply, waiters): (Value, Vec<String>) = shared.link.ask(&commands, Some(COMMAND_LIMIT)).await?;
    Ok((reply == Value::Okay, waiters))
}

/// Tells the processes that wait for these tasks.
pub(crate) async fn wake(shared: &Shared, waited_for: &[(TaskId, Vec<String>)]) {
    let told = match shared.link.address().is_cluster() {
        false => publish(shared, "PUBLISH", waited_for).await,
        true => publish_apart(shared, waited_for).await,
    };
    if told.is_err() {
        tracing::debug!("those who wait for results could not be told; they look by themselves soon");
    }
}

async fn publish(shared: &Shared, publish: &str, waited_for: &[(TaskId, Vec<String>)]) -> Result<(), Trouble> {
    let mut commands = redis::pipe();
    for (id, processes) in waited_for {
        for process in processes {
            commands.cmd(publish).arg(shared.keys.wake(process)).arg(id.as_str()).ignore();
        }
    }
    if commands.is_empty() {
        return Ok(());
    }
    shared.link.ask(&commands, Some(WAKE_LIMIT)).await
}

/// In a cluster every channel may be in another slot, so that they cannot share a pipeline.
async fn publish_apart(shared: &Shared, waited_for: &[(TaskId, Vec<String>)]) -> Result<(), Trouble> {
    let mut apart = Vec::new();
    for (id, processes) in waited_for {
        apart.extend(processes.iter().map(|process| [(id.clone(), vec![process.clone()])]));
    }
    try_join_all(apart.iter().map(async |call| publish(shared, "SPUBLISH", call).await)).await.map(drop)
}

/// The record's bytes, if there is one.
async fn get(shared: &Shared, id: &TaskId) -> Result<Option<Vec<u8>>, Trouble> {
    let mut commands = redis::pipe();
    commands.cmd("GET").arg(shared.keys.record(id));
    let (bytes,): (Option<Vec<u8>>,) = shared.link.ask(&commands, Some(COMMAND_LIMIT)).await?;
    Ok(bytes)
}

/// The records of all of them, where there are any, by one try.
pub(crate) async fn look_once(shared: &Shared, looks: &[Look]) -> Result<Vec<Option<Vec<u8>>>, Trouble> {
    shared.link.ask_once(&looking(shared, looks)).await
}

/// The record, if there is one. Goes on until the server is there.
pub(crate) async fn look(shared: &Shared, look: &Look) -> Result<Option<Vec<u8>>, Trouble> {
    let (record,) = shared.link.ask(&looking(shared, slice::from_ref(look)), None).await?;
    Ok(record)
}

/// Enters this process among those who wait for what is to be entered, before it looks.
fn looking(shared: &Shared, looks: &[Look]) -> Pipeline {
    let mut commands = Pipeline::with_capacity(looks.len());
    for look in looks {
        if look.enters {
            let waiters = shared.keys.waiters(&look.id);
            commands.cmd("SADD").arg(&waiters).arg(&shared.process).ignore();
            commands.cmd("PEXPIRE").arg(waiters).arg(millis(WAITER_TTL)).ignore();
        }
        commands.cmd("GET").arg(shared.keys.record(&look.id));
    }
    commands
}

pub(crate) async fn fetch(shared: &Shared, id: &TaskId) -> Result<Option<ResultRecord>, ResultError> {
    let bytes = get(shared, id).await.map_err(|t| shared.error(t))?;
    bytes.map(|bytes| decoded(id, &bytes)).transpose()
}

pub(crate) async fn track(shared: &Shared, id: &TaskId, step: Step, ttl: Duration) -> Result<(), ResultError> {
    let bytes = rmp_serde::to_vec_named(&step).map_err(|error| unreadable(id, "Step", error.into()))?;
    let mut commands = redis::pipe();
    let set = commands.cmd("SET").arg(shared.keys.step(id)).arg(bytes).arg("PX").arg(millis(ttl));
    if step == Step::Queued {
        set.arg("NX");
    }
    commands.ignore();
    shared.link.ask(&commands, Some(COMMAND_LIMIT)).await.map_err(|t| shared.error(t))
}

pub(crate) async fn step(shared: &Shared, id: &TaskId) -> Result<Option<Step>, ResultError> {
    let mut commands = redis::pipe();
    commands.cmd("GET").arg(shared.keys.step(id));
    let (bytes,): (Option<Vec<u8>>,) =
        shared.link.ask(&commands, Some(COMMAND_LIMIT)).await.map_err(|t| shared.error(t))?;
    let step = bytes.map(|bytes| rmp_serde::from_slice(&bytes)).transpose();
    step.map_err(|error| unreadable(id, "Step", error.into()))
}

/// Reaches the server, and warns of a configuration under which results vanish.
pub(crate) async fn check(shared: &Shared) -> Result<(), ResultError> {
    let mut ping = redis::pipe();
    ping.cmd("PING").ignore();
    shared.link.ask::<()>(&ping, Some(COMMAND_LIMIT)).await.map_err(|t| shared.error(t))?;
    let mut policy = redis::pipe();
    policy.cmd("CONFIG").arg("GET").arg("maxmemory-policy");
    // Many hosted servers forbid the question; then there is nothing to say.
    if let Ok((reply,)) = shared.link.ask::<(Vec<String>,)>(&policy, Some(COMMAND_LIMIT)).await
        && let Some(policy) = reply.get(1)
        && policy != "noeviction"
    {
        tracing::warn!(
            address = %shared.link.address(),
            "the result store drops results when its memory is full: its `maxmemory-policy` is `{policy}`; set `noeviction`"
        );
    }
    Ok(())
}

pub(crate) fn decoded(id: &TaskId, bytes: &[u8]) -> Result<ResultRecord, ResultError> {
    ResultRecord::decode(bytes).map_err(|source| unreadable(id, "ResultRecord", source))
}

fn unreadable(id: &TaskId, wanted: &'static str, source: BoxError) -> ResultError {
    ResultError::Decode { id: id.clone(), wanted, source }
}

/// Redis refuses a time to live of zero, and one past its calendar.
pub(crate) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.min(LONGEST_TTL).as_millis()).unwrap_or(u64::MAX).max(1)
}
