//! Waiting: every wait ends, and with the right record.

use super::{ResultsHarness, begun, done, ended, in_time, kept, of_round};
use crate::CaseResult;
use bytes::Bytes;
use futures_util::future::join_all;
use taskq_core::{End, ResultBackend, TaskId};

/// Waiting first, storing later, by the same connection.
pub(crate) async fn a_wait_ends_when_the_record_is_stored(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let (id, record) = (TaskId::new(), done("value"));
    let mut wait = results.wait(&id, 0);
    begun(&mut wait).await?;
    kept(&results, &id, &record).await?;
    ensure_eq!(ended(wait).await?, record);
    Ok(())
}

/// Waiting first, storing later, by another connection, for a first round and for a later one.
pub(crate) async fn a_wait_ends_when_another_connection_stores(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    for round in [0, 1] {
        let (id, record) = (TaskId::new(), of_round(round, "value"));
        let mut wait = one.wait(&id, round);
        begun(&mut wait).await?;
        kept(&other, &id, &record).await?;
        ensure_eq!(ended(wait).await?, record);
    }
    Ok(())
}

/// Storing first, waiting later, again and again.
pub(crate) async fn a_wait_for_what_is_there_ends_at_once(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let (id, record) = (TaskId::new(), done("value"));
    kept(&one, &id, &record).await?;
    for results in [&one, &other, &one] {
        ensure_eq!(ended(results.wait(&id, 0)).await?, record);
    }
    Ok(())
}

/// Whoever waits for a replay does not get the end of the round before it.
pub(crate) async fn a_wait_for_a_higher_round_is_not_ended_by_an_older_record(
    harness: &impl ResultsHarness,
) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let (id, newer) = (TaskId::new(), of_round(1, "newer"));
    kept(&one, &id, &of_round(0, "older")).await?;
    let mut wait = one.wait(&id, 1);
    begun(&mut wait).await?;
    ensure_eq!(ended(one.wait(&id, 0)).await?.round, 0, "the round of the older record");
    kept(&other, &id, &newer).await?;
    ensure_eq!(ended(wait).await?, newer);
    Ok(())
}

/// The end of a later round is as good: the task has been replayed meanwhile.
pub(crate) async fn a_wait_is_ended_by_a_higher_round_than_it_asked_for(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let (id, record) = (TaskId::new(), of_round(4, "value"));
    let mut wait = results.wait(&id, 2);
    begun(&mut wait).await?;
    kept(&results, &id, &record).await?;
    ensure_eq!(ended(wait).await?, record);
    Ok(())
}

/// A hundred waits for one id, from two connections, all end with one record.
pub(crate) async fn a_hundred_waits_for_one_task_all_end(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let (id, record) = (TaskId::new(), done("value"));
    let mut waits = join_all((0..50).flat_map(|_| [one.wait(&id, 0), other.wait(&id, 0)]));
    begun(&mut waits).await?;
    kept(&one, &id, &record).await?;
    for found in in_time(waits).await? {
        ensure_eq!(found?, record);
    }
    Ok(())
}

/// A hundred waits for as many ids: each ends with its own record.
pub(crate) async fn a_hundred_waits_for_a_hundred_tasks_all_end(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let ids: Vec<TaskId> = (0..100).map(|_| TaskId::new()).collect();
    let mut waits = join_all(ids.iter().map(|id| one.wait(id, 0)));
    begun(&mut waits).await?;
    for (n, id) in ids.iter().enumerate() {
        kept(&other, id, &done(vec![n as u8])).await?;
    }
    for (n, found) in in_time(waits).await?.into_iter().enumerate() {
        ensure_eq!(found?.end, End::Done(Bytes::from(vec![n as u8])));
    }
    Ok(())
}

/// Waits that are given up, at once or later, take no other wait for the same id with them.
pub(crate) async fn a_dropped_wait_does_not_disturb_the_others(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let (id, record) = (TaskId::new(), done("value"));
    drop(results.wait(&id, 0));
    let mut dropped = results.wait(&id, 0);
    begun(&mut dropped).await?;
    let mut wait = results.wait(&id, 0);
    begun(&mut wait).await?;
    drop(dropped);
    begun(&mut wait).await?;
    kept(&results, &id, &record).await?;
    ensure_eq!(ended(wait).await?, record);
    ensure_eq!(ended(results.wait(&id, 0)).await?, record);
    Ok(())
}

/// Storing and beginning to wait at the same time, in every order that comes up: no wake-up is lost.
pub(crate) async fn a_record_stored_while_the_wait_begins_is_not_missed(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    for n in 0..200u32 {
        let (id, record) = (TaskId::new(), done("value"));
        let store = async {
            for _ in 0..n % 10 {
                tokio::task::yield_now().await;
            }
            kept(&other, &id, &record).await
        };
        let (found, stored) = in_time(async { tokio::join!(one.wait(&id, 0), store) }).await?;
        stored?;
        ensure_eq!(found?, record);
    }
    Ok(())
}
