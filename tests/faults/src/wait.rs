//! Waiting for conditions.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Asks every few milliseconds until there is an answer; `None` when the time is over.
pub(crate) async fn until<T>(patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
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
