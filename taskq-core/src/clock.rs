//! Wall-clock time that follows `tokio::time::pause`, so that a test of an hour of back-off takes milliseconds.

use serde::{Deserialize, Serialize};
use std::{
    cell::Cell,
    num::NonZeroI64,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
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
        Moment { wall: wall_at(instant.into_std()), instant }
    }
}

/// What the wall clock said at an instant.
#[derive(Clone, Copy)]
struct Reading {
    instant: std::time::Instant,
    wall: Duration,
}

/// For so long, by the monotonic clock, the wall clock is taken to go as that one does. Then it is read again: it may have been
/// set, and the monotonic one stands still while the machine is suspended.
const READING_LASTS: Duration = Duration::from_millis(10);

/// Between two looks at clocks the thread may lose its core.
const SLIP: Duration = Duration::from_millis(1);
const TRIES: usize = 5;

impl Reading {
    fn at(instant: std::time::Instant) -> Reading {
        let (real_now, wall) = both_clocks();
        // Without `test-util` both instants are the same clock and the shift is nanoseconds.
        let wall = match instant.checked_duration_since(real_now) {
            Some(ahead) => wall + ahead,
            None => wall.saturating_sub(real_now - instant),
        };
        Reading { instant, wall }
    }

    fn wall_at(self, instant: std::time::Instant) -> Option<Duration> {
        let since = instant.checked_duration_since(self.instant)?;
        (since < READING_LASTS).then(|| self.wall + since)
    }
}

/// The present by the monotonic clock and by the wall clock.
fn both_clocks() -> (std::time::Instant, Duration) {
    let look = || {
        let before = std::time::Instant::now();
        #[allow(clippy::disallowed_methods)]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (before, wall)
    };
    let mut looks = std::iter::repeat_with(look).take(TRIES);
    looks.find(|(before, _)| before.elapsed() < SLIP).unwrap_or_else(look)
}

/// What the wall clock says at this instant. A look at a clock takes 35 ns on the machine of the benchmarks; this takes none, in
/// place of two.
fn wall_at(instant: std::time::Instant) -> UnixMillis {
    thread_local! {
        static LAST: Cell<Option<Reading>> = const { Cell::new(None) };
    }
    let wall = LAST.get().and_then(|last| last.wall_at(instant)).unwrap_or_else(|| {
        let reading = Reading::at(instant);
        LAST.set(Some(reading));
        reading.wall
    });
    UnixMillis(wall.as_millis() as u64)
}

/// What ticks are counted from: any instant does.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// An instant in one word, which has room for none too. Tens of thousands of runs may keep some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick(NonZeroI64);

impl Tick {
    pub(crate) fn now() -> Self {
        Tick::from(Instant::now())
    }

    pub(crate) fn instant(self) -> Instant {
        let nanos = if self.0 == Tick::ORIGIN { 0 } else { self.0.get() };
        let since = Duration::from_nanos(nanos.unsigned_abs());
        if nanos < 0 { *ORIGIN - since } else { *ORIGIN + since }
    }

    /// That of the origin itself.
    const ORIGIN: NonZeroI64 = NonZeroI64::MIN;
}

impl From<Instant> for Tick {
    fn from(instant: Instant) -> Self {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let nanos = match instant.checked_duration_since(*ORIGIN) {
            Some(since) => nanos(since),
            None => -nanos(*ORIGIN - instant),
        };
        Tick(NonZeroI64::new(nanos).unwrap_or(Tick::ORIGIN))
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

    /// What is kept on a thread of the last look serves runtimes of different times, one after the other.
    #[test]
    fn each_runtime_has_the_wall_clock_of_its_own_time() {
        const HOUR: Duration = Duration::from_secs(3600);
        /// By which the system may correct a clock, and more.
        const ABOUT: Duration = Duration::from_secs(1);
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let before = UnixMillis::now();
        let (ahead, behind) = (runtime(), runtime());
        ahead.block_on(tokio::time::advance(HOUR + ABOUT));
        for _ in 0..3 {
            let late = ahead.block_on(async { UnixMillis::now() });
            let soon = behind.block_on(async { UnixMillis::now() });
            assert!(before.until(late) >= HOUR, "{before:?} {late:?}");
            assert!(before.until(soon) < HOUR && soon.until(late) >= HOUR / 2, "{soon:?} {late:?}");
        }
    }

    /// Until the wall clock is read again, and after.
    #[test]
    fn the_wall_clock_goes_as_the_other_one_does() {
        let start = Moment::now();
        while start.instant.elapsed() < 3 * READING_LASTS {
            let now = Moment::now();
            let passed = now.instant - start.instant;
            let shown = start.wall.until(now.wall);
            // Whole milliseconds, and clocks that the system may correct.
            assert!(shown.abs_diff(passed) < Duration::from_millis(5), "{shown:?} in {passed:?}");
        }
    }

    #[test]
    fn a_tick_is_of_its_instant_be_it_before_or_after_the_origin() {
        for instant in [*ORIGIN, *ORIGIN - SLIP, *ORIGIN + SLIP, Instant::now()] {
            assert_eq!(Tick::from(instant).instant(), instant);
        }
        assert_eq!(size_of::<Option<Tick>>(), 8);
    }

    #[test]
    fn adding_rounds_up() {
        assert_eq!(UnixMillis(5) + Duration::from_nanos(1), UnixMillis(6));
        assert_eq!(UnixMillis(5) + Duration::from_millis(1), UnixMillis(6));
        assert_eq!(UnixMillis(5) + Duration::MAX, UnixMillis(u64::MAX));
    }
}
