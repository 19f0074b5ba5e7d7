//! Tracking: the steps of a task on its way.

use super::{ResultsHarness, TTL, fetched};
use crate::{CaseResult, NotPassed};
use taskq_core::{ResultBackend, Step, TaskId, UnixMillis};
use tokio::time::sleep;

/// Notes replace each other in the order they come, and all connections see them.
pub(crate) async fn steps_are_noted_as_they_come(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    needs_tracking(&one)?;
    let id = TaskId::new();
    let due = UnixMillis(1_700_000_000_123);
    for step in [Step::Queued, Step::Running, Step::Retrying { attempt: 2, due }, Step::Running] {
        one.track(&id, step, TTL).await?;
        ensure_eq!(other.step(&id).await?, Some(step));
    }
    ensure_eq!(fetched(&one, &id).await?, None, "a step is not an end");
    Ok(())
}

/// The note of a producer may come late: a worker has the task already.
pub(crate) async fn queued_never_replaces_another_step(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_tracking(&results)?;
    let id = TaskId::new();
    results.track(&id, Step::Running, TTL).await?;
    results.track(&id, Step::Queued, TTL).await?;
    ensure_eq!(results.step(&id).await?, Some(Step::Running));
    Ok(())
}

/// A step is forgotten after its time to live.
pub(crate) async fn a_step_is_gone_after_its_time_to_live(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_tracking(&results)?;
    let (id, ttl) = (TaskId::new(), harness.shortest_ttl());
    results.track(&id, Step::Running, ttl).await?;
    sleep(ttl + ttl).await;
    ensure_eq!(results.step(&id).await?, None);
    results.track(&id, Step::Queued, TTL).await?;
    ensure_eq!(results.step(&id).await?, Some(Step::Queued));
    Ok(())
}

fn needs_tracking(results: &impl ResultBackend) -> CaseResult {
    if results.tracks() {
        return Ok(());
    }
    Err(NotPassed::LeftOut("this result backend does not track".into()))
}
