#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use futures_util::FutureExt;
use std::future;
use taskq_core::End;
use tokio::time::{sleep, timeout};

fn of_round(round: u32) -> Last {
    let mut record = ResultRecord::new(End::Done(vec![1].into()), "test.task");
    record.round = round;
    Last::Record(record)
}

fn take(waiters: &Waiters) -> Vec<Look> {
    waiters.looks(100).now_or_never().unwrap_or_default()
}

/// Looks that end at once, and whether they enter.
fn looked(waiters: &Waiters) -> Vec<(TaskId, bool)> {
    let looks = take(waiters);
    looks.iter().for_each(|look| waiters.looked(look));
    looks.into_iter().map(|look| (look.id, look.enters)).collect()
}

#[tokio::test]
async fn waits_for_one_task_share_one_look_and_are_told_together() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    let mut waits = [0, 0, 2].map(|round| waiters.join(&id, round));
    assert_eq!(looked(&waiters), [(id.clone(), true)]);
    waiters.found(&id, of_round(1));
    let told = waits.each_mut().map(|wait| wait.ended().now_or_never().is_some());
    assert_eq!(told, [true, true, false]);
    waiters.found(&id, of_round(2));
    assert!(waits[2].ended().now_or_never().is_some());
    assert_eq!(waiters.len(), 0);
}

#[tokio::test]
async fn a_wait_for_what_was_seen_while_others_wait_for_more_asks_for_a_look() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    let _more = waiters.join(&id, 2);
    looked(&waiters);
    waiters.found(&id, of_round(1));
    let mut seen = waiters.join(&id, 1);
    assert_eq!(looked(&waiters), [(id.clone(), false)]);
    waiters.found(&id, of_round(1));
    assert!(seen.ended().now_or_never().is_some());
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
    assert!(take(&waiters).is_empty());
    waiters.wake(&id);
    assert!(take(&waiters).is_empty());
}

#[tokio::test]
async fn a_wake_during_a_look_asks_for_another_after_it_and_one_before_it_does_not() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    let _wait = waiters.join(&id, 0);
    waiters.wake(&id);
    let look = take(&waiters).pop().unwrap();
    assert!(look.enters);
    waiters.wake(&id);
    waiters.wake_all();
    waiters.wake(&id);
    assert!(take(&waiters).is_empty(), "nothing is looked at twice at a time");
    waiters.looked(&look);
    assert_eq!(looked(&waiters), [(id.clone(), true)]);
    assert!(take(&waiters).is_empty());
}

#[tokio::test]
async fn a_look_that_goes_on_by_itself_ends_with_its_entry_and_not_with_one_after_it() {
    let (waiters, id) = (Waiters::default(), TaskId::new());
    let wait = waiters.join(&id, 0);
    let first = take(&waiters).pop().unwrap();
    let (goes_on, mut ends) = oneshot::channel::<()>();
    let alone = tokio::spawn(async {
        let _goes_on = goes_on;
        future::pending::<()>().await;
    });
    waiters.goes_on(&first, AbortOnDropHandle::new(alone));
    tokio::task::yield_now().await;
    assert!(ends.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
    drop(wait);
    assert!(timeout(Duration::from_secs(60), ends).await.is_ok_and(|ended| ended.is_err()));
    let _again = waiters.join(&id, 0);
    let second = take(&waiters).pop().unwrap();
    waiters.wake(&id);
    // Of the entry before it.
    waiters.looked(&first);
    assert!(take(&waiters).is_empty());
    waiters.looked(&second);
    assert_eq!(looked(&waiters), [(id.clone(), false)]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_tells_of_is_looked_at_at_ever_longer_intervals_and_then_entered_again() {
    let (waiters, id, other) = (Waiters::default(), TaskId::new(), TaskId::new());
    // Of earlier entries, which ask for nothing any more.
    for id in [&id, &other] {
        let _gone = waiters.join(id, 0);
        assert_eq!(looked(&waiters), [(id.clone(), true)]);
    }
    sleep(PAUSES.0 / 2).await;
    let (_wait, began) = (waiters.join(&id, 0), Instant::now());
    let mut seen = Vec::new();
    while seen.len() < 7 {
        for look in waiters.looks(100).await {
            assert_eq!(look.id, id);
            seen.push((began.elapsed().as_millis(), look.enters));
            waiters.looked(&look);
        }
    }
    let seconds = [(0, true), (1, false), (3, false), (7, false), (15, false), (30, true), (45, true)];
    for ((at, enters), (second, entered)) in seen.into_iter().zip(seconds) {
        assert!((second * 1000..second * 1000 + 10).contains(&at) && enters == entered, "{second} s: {at}, {enters}");
    }
}

#[tokio::test]
async fn waits_that_come_and_go_leave_little_behind_though_nobody_looks() {
    let (waiters, id, stays) = (Waiters::default(), TaskId::new(), TaskId::new());
    let _stays = waiters.join(&stays, 0);
    let left = || {
        let state = waiters.state();
        (state.asked.len(), state.due.len())
    };
    for are_looked_at in [true, false] {
        for n in 0..10_000 {
            drop(waiters.join(&id, 0));
            let goes = TaskId::from(format!("{n}"));
            let _gone = waiters.join(&goes, 0);
            if are_looked_at {
                looked(&waiters);
            }
            waiters.wake(&stays);
        }
        let (asked, due) = left();
        assert!(asked <= SLACK + 4 && due <= SLACK + 4, "{asked} asked for, {due} due");
    }
    waiters.wake(&stays);
    assert_eq!(looked(&waiters), [(stays.clone(), false)]);
}
