//! Waiting for conditions: a test that waits for longer than anything takes has failed.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longer than anything takes that tests wait for, servers that start apart.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks every few milliseconds until there is an answer; `None` when the time is over.
pub async fn until<T>(patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The answer, once there is one.
///
/// # Panics
/// There is none within [`PATIENCE`].
pub async fn found<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    // The limit also holds for a question that hangs.
    let answer = timeout(PATIENCE, until(PATIENCE, ask)).await.ok().flatten();
    answer.unwrap_or_else(|| panic!("this did not come true: {what}"))
}

/// Waits until the condition holds.
///
/// # Panics
/// It does not within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    found(what, async || condition().await.then_some(())).await;
}

/// What a future gives: fails the test instead of hanging it.
///
/// # Panics
/// It does not end within [`PATIENCE`].
pub async fn ended<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("it did not end"))
}
