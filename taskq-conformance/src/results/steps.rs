//! Tracking: the steps of a task on its way.

use super::{ResultsHarness, TTL, fetched};
use taskq_core::{ResultBackend, Step, TaskId, UnixMillis};
use tokio::time::sleep;

/// Notes replace each other in the order they come, and all connections see them.
pub async fn steps_are_noted_as_they_come(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    if left_out(&one, "tracking") {
        return;
    }
    let id = TaskId::new();
    let due = UnixMillis(1_700_000_000_123);
    for step in [Step::Queued, Step::Running, Step::Retrying { attempt: 2, due }, Step::Running] {
        one.track(&id, step, TTL).await.expect("track");
        assert_eq!(other.step(&id).await.expect("step"), Some(step));
    }
    assert_eq!(fetched(&one, &id).await, None, "a step is not an end");
}

/// The note of a producer may come late: a worker has the task already.
pub async fn queued_never_replaces_another_step(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    if left_out(&results, "tracking") {
        return;
    }
    let id = TaskId::new();
    results.track(&id, Step::Running, TTL).await.expect("track");
    results.track(&id, Step::Queued, TTL).await.expect("track");
    assert_eq!(results.step(&id).await.expect("step"), Some(Step::Running));
}

/// A step is forgotten after its time to live.
pub async fn a_step_is_gone_after_its_time_to_live(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    if left_out(&results, "tracking") {
        return;
    }
    let (id, ttl) = (TaskId::new(), harness.shortest_ttl());
    results.track(&id, Step::Running, ttl).await.expect("track");
    sleep(ttl + ttl).await;
    assert_eq!(results.step(&id).await.expect("step"), None);
    results.track(&id, Step::Queued, TTL).await.expect("track");
    assert_eq!(results.step(&id).await.expect("step"), Some(Step::Queued));
}

fn left_out(results: &impl ResultBackend, what: &str) -> bool {
    if !results.tracks() {
        println!("left out: this result backend has no {what}");
    }
    !results.tracks()
}
