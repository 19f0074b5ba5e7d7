//! When retries and delayed tasks run: never before they are due, and not long after.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use support::Stage;
use taskq::{UnixMillis, prelude::*};

/// How far behind its due instant each run began, in milliseconds; negative for one that came too early.
#[derive(Clone, Default)]
struct Lateness(Arc<Mutex<Vec<i64>>>);

impl Lateness {
    fn note(&self, due: UnixMillis) {
        self.0.lock().unwrap().push(UnixMillis::now().0 as i64 - due.0 as i64);
    }

    fn sorted(&self) -> Vec<i64> {
        let mut all = self.0.lock().unwrap().clone();
        all.sort_unstable();
        all
    }
}

#[derive(Clone, Default)]
struct Gaps(Arc<Mutex<Vec<(u32, tokio::time::Instant)>>>);

/// What is promised beside an eighth of the delay: 100 ms, 60 ms for each of four hops, and 250 ms.
const ALLOWED: i64 = 100 + 4 * 60 + 250;
/// How much more a busy machine may take before the test fails.
const SLACK: i64 = 3_000;

#[task(retry = 3, backoff = "list(200ms, 900ms, 2s)")]
async fn fail_three_times(ctx: TaskContext, late: State<Lateness>, gaps: State<Gaps>) -> Result<(), String> {
    let now = tokio::time::Instant::now();
    if let Some(due) = ctx.message().eta {
        late.note(due);
    }
    gaps.0.0.lock().unwrap().push((ctx.attempt(), now));
    if ctx.attempt() < 4 { Err("not yet".into()) } else { Ok(()) }
}

#[task]
async fn on_time(ctx: TaskContext, late: State<Lateness>) {
    late.note(ctx.message().eta.unwrap());
}

async fn retries_come_in_their_window(stage: Stage) {
    let (late, gaps) = (Lateness::default(), Gaps::default());
    let app = stage.start(stage.app().with_state(late.clone()).with_state(gaps.clone())).await;
    let handles = app.kiq_many((0..20).map(|_| fail_three_times())).await.unwrap();
    for handle in handles {
        assert!(handle.wait_result().timeout("60s").await.unwrap().is_ok());
    }
    report("retries", &late.sorted(), 60, 2_000);
    // The second run of any of them is not earlier than the shortest jitter after the first run of any of them.
    let gaps = gaps.0.lock().unwrap();
    let first = |attempt: u32| gaps.iter().filter(|(of, _)| *of == attempt).map(|(_, at)| *at).min().unwrap();
    for (attempt, delay) in [(1, 200), (2, 900), (3, 2_000)] {
        let apart = first(attempt + 1) - first(attempt);
        assert!(apart >= Duration::from_millis(delay / 2), "attempt {}: {apart:?}", attempt + 1);
    }
}

async fn delayed_tasks_come_when_they_are_due(stage: Stage) {
    let late = Lateness::default();
    let app = stage.start(stage.app().with_state(late.clone()).with_state(Gaps::default())).await;
    let delays = [1, 50, 99, 100, 101, 250, 777, 1_300, 1_500, 2_100];
    let calls = delays.iter().map(|millis| on_time.kiq().delay(Duration::from_millis(*millis)));
    for handle in app.kiq_many(calls).await.unwrap() {
        assert!(handle.wait_result().timeout("60s").await.unwrap().is_ok());
    }
    report("delayed tasks", &late.sorted(), delays.len(), 0);
}

fn report(what: &str, late: &[i64], expected: usize, longest: i64) {
    let (median, last) = (late[late.len() / 2], late[late.len() - 1]);
    println!("{what}: {} ms late at least, {median} ms (median), {last} ms at most", late[0]);
    assert_eq!(late.len(), expected);
    assert!(late[0] >= 0, "one came too early: {late:?}");
    assert!(last <= longest / 8 + ALLOWED + SLACK, "one came too late: {late:?}");
}

on_both! {
    retries_come_in_their_window,
    delayed_tasks_come_when_they_are_due,
}
