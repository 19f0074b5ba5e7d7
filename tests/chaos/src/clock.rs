//! One clock for all processes of this machine, so that lines of different ledgers can be put in order.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// An instant of `CLOCK_MONOTONIC`, in microseconds: the same for all processes, and never set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Instant(pub(crate) u64);

impl Instant {
    pub(crate) fn now() -> Instant {
        let time = clock_gettime(ClockId::Monotonic);
        let micros = time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1_000;
        Instant(micros)
    }

    /// Zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, time: Duration) -> Instant {
        Instant(self.0 + u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 2))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, time: Duration) -> Instant {
        Instant(self.0.saturating_sub(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// The wall clock, in milliseconds since 1970: what delays count by.
pub(crate) fn wall() -> u64 {
    taskq::UnixMillis::now().0
}
