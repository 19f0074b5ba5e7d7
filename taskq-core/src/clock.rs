//! Wall-clock time that follows `tokio::time::pause`, so that a test of an hour of back-off takes milliseconds.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Milliseconds since the Unix epoch: every instant that travels with a message or a result.
///
/// ```
/// use taskq::UnixMillis;
/// let now = UnixMillis::now();
/// assert!(now + std::time::Duration::from_secs(1) > now);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The present. Inside a runtime whose time is paused it moves with that runtime's time.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use taskq::UnixMillis;
    /// tokio::time::pause();
    /// let before = UnixMillis::now();
    /// tokio::time::sleep(Duration::from_secs(3600)).await; // takes no time: it is paused
    /// assert!(before.until(UnixMillis::now()) >= Duration::from_secs(3599));
    /// # }
    /// ```
    pub fn now() -> Self {
        Moment::now().wall
    }

    /// Time from `self` until `later`; zero if `later` has passed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::UnixMillis;
    /// let (created, eta) = (UnixMillis(1_000), UnixMillis(6_000));
    /// assert_eq!(created.until(eta), Duration::from_secs(5));
    /// assert_eq!(eta.until(created), Duration::ZERO);
    /// ```
    pub fn until(self, later: UnixMillis) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

impl UnixMillis {
    /// So much earlier, in whole milliseconds.
    pub(crate) fn before(self, span: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl std::ops::Add<Duration> for UnixMillis {
    type Output = UnixMillis;

    /// Rounds up to a whole millisecond, so that nothing is due too early.
    fn add(self, span: Duration) -> UnixMillis {
        let millis = span.as_nanos().div_ceil(1_000_000);
        UnixMillis(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// The present on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) wall: UnixMillis,
    pub(crate) instant: Instant,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let instant = Instant::now();
        // Without `test-util` both instants are the same clock and the shift is nanoseconds.
        let (virtual_now, real_now) = (instant.into_std(), std::time::Instant::now());
        #[allow(clippy::disallowed_methods)]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shifted = match virtual_now.checked_duration_since(real_now) {
            Some(ahead) => wall + ahead,
            None => wall.saturating_sub(real_now - virtual_now),
        };
        Moment { wall: UnixMillis(shifted.as_millis() as u64), instant }
    }
}

/// Further than any wait of a program, and not too far to count to.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The instant after this span. Whoever asks for a span without end gets one of a hundred years.
pub(crate) fn from_now(span: Duration) -> Instant {
    after(Instant::now(), span)
}

/// The same, counted from another instant.
pub(crate) fn after(start: Instant, span: Duration) -> Instant {
    start + bounded(span)
}

/// A span that any clock can be asked to wait for.
pub(crate) fn bounded(span: Duration) -> Duration {
    span.min(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_the_wall_clock() {
        let before = UnixMillis::now();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(before.until(UnixMillis::now()) >= Duration::from_secs(3599));
    }

    #[test]
    fn adding_rounds_up() {
        assert_eq!(UnixMillis(5) + Duration::from_nanos(1), UnixMillis(6));
        assert_eq!(UnixMillis(5) + Duration::from_millis(1), UnixMillis(6));
        assert_eq!(UnixMillis(5) + Duration::MAX, UnixMillis(u64::MAX));
    }
}
