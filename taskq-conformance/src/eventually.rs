//! Waiting for a condition, with a limit.

use std::time::Duration;
use tokio::time::{sleep, timeout};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What `probe` gives as soon as it gives something; `None` if it does not within `limit`.
///
/// The probe is asked at once and then at growing intervals, of 100 ms at most; a probe that hangs is cut off at the
/// limit. Nothing is asked any more once the future is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
/// let mut asked = 0;
/// let found = taskq_conformance::eventually(Duration::from_secs(5), async || {
///     asked += 1;
///     (asked == 3).then_some("now")
/// });
/// assert_eq!(found.await, Some("now"));
/// # });
/// ```
pub async fn eventually<T>(limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asking = async {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    timeout(limit, asking).await.ok()
}
