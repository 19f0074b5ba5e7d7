#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use futures_util::FutureExt;
use taskq_core::End;
use tokio::time::{advance, sleep};

fn of_round(round: u32) -> Last {
    let mut record = ResultRecord::new(End::Done(vec![1].into()), "test.task");
    record.round = round;
    Last::Record(record)
}

/// What is to be looked at now, and whether it enters.
fn looks(waiters: &Waiters) -> Vec<(TaskId, bool)> {
    let looks = waiters.looks(100).now_or_never().unwrap_or_default();
    looks.into_iter().map(|look| (look.id, look.enters)).collect()
}

#[tokio::test]
async fn waits_for_one_task_share_one_look_and_are_told_together() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    let mut waits = [0, 0, 2].map(|round| waiters.join(&id, round));
    assert_eq!(looks(&waiters), [(id.clone(), true)]);
    waiters.found(&id, of_round(1));
    let told = waits.each_mut().map(|wait| wait.ended().now_or_never().is_some());
    assert_eq!(told, [true, true, false]);
    waiters.found(&id, of_round(2));
    assert!(waits[2].ended().now_or_never().unwrap().is_some());
    assert_eq!(waiters.len(), 0);
}

#[tokio::test]
async fn a_wait_for_what_was_seen_while_others_wait_for_more_asks_for_a_look() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    let _more = waiters.join(&id, 2);
    looks(&waiters);
    waiters.found(&id, of_round(1));
    let mut seen = waiters.join(&id, 1);
    assert_eq!(looks(&waiters), [(id.clone(), false)]);
    waiters.found(&id, of_round(1));
    assert!(seen.ended().now_or_never().unwrap().is_some());
    assert_eq!(waiters.len(), 1);
}

#[tokio::test]
async fn an_entry_ends_with_the_last_wait_that_is_dropped() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    let waits = [waiters.join(&id, 0), waiters.join(&id, 0)];
    for (left, wait) in waits.into_iter().enumerate() {
        assert_eq!((left, waiters.len()), (left, 1));
        drop(wait);
    }
    assert_eq!(waiters.len(), 0);
    assert!(looks(&waiters).is_empty());
    waiters.wake(&id);
    assert!(looks(&waiters).is_empty());
}

#[tokio::test]
async fn a_wake_during_a_look_asks_for_another_and_one_before_it_does_not() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    let _wait = waiters.join(&id, 0);
    waiters.wake(&id);
    assert_eq!(looks(&waiters), [(id.clone(), true)]);
    waiters.wake(&id);
    waiters.wake(&id);
    assert_eq!(looks(&waiters), [(id.clone(), false)]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_tells_of_is_looked_at_at_ever_longer_intervals_and_then_entered_again() {
    let (waiters, id, other) = (Waiters::default(), TaskId::new(), TaskId::new());
    let began = Instant::now();
    // Of an earlier entry, which asks for nothing any more.
    drop(waiters.join(&id, 0));
    sleep(PAUSES.0 / 2).await;
    drop(waiters.join(&other, 0));
    let _wait = waiters.join(&id, 0);
    let mut seen = Vec::new();
    while seen.len() < 7 {
        for look in waiters.looks(100).await {
            assert_eq!(look.id, id);
            seen.push(((began.elapsed() - PAUSES.0 / 2).as_millis(), look.enters));
        }
    }
    let seconds = [(0, true), (1, false), (3, false), (7, false), (15, false), (30, true), (45, true)];
    for ((at, enters), (second, entered)) in seen.into_iter().zip(seconds) {
        assert!((second * 1000..second * 1000 + 10).contains(&at) && enters == entered, "{second} s: {at}, {enters}");
    }
}

#[tokio::test(start_paused = true)]
async fn entries_that_are_gone_leave_nothing_behind() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    for _ in 0..1000 {
        drop(waiters.join(&id, 0));
    }
    advance(PAUSES.0).await;
    assert!(looks(&waiters).is_empty());
    let state = waiters.state();
    assert_eq!((state.entries.len(), state.asked.len(), state.due.len()), (0, 0, 0));
}
