//! Trying again, less and less often, until the worker ends.

use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

pub(super) struct Patience<'a> {
    interrupt: &'a CancellationToken,
    began: Instant,
    next: Duration,
}

impl<'a> Patience<'a> {
    pub(super) fn new(interrupt: &'a CancellationToken) -> Self {
        Patience { interrupt, began: Instant::now(), next: FIRST }
    }

    /// Waits a little, longer each time. `false` if the worker is ending.
    pub(super) async fn pause(&mut self) -> bool {
        let pause = self.next.mul_f64(0.5 + 0.5 * fastrand::f64());
        self.next = (self.next * 2).min(LONGEST);
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.interrupt.cancelled() => false,
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
