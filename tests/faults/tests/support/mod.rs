//! What the tests of these tools share.

#![allow(dead_code, unreachable_pub, missing_debug_implementations, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod fake;

use std::time::Duration;

/// What takes this long will not happen.
pub async fn hangs<F: Future>(future: F) -> bool {
    tokio::time::timeout(Duration::from_millis(700), future).await.is_err()
}
