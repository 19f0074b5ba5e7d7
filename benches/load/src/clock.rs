//! Time that all processes of one machine share, and CPU time of this one.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

const NANOS: u64 = 1_000_000_000;

/// Nanoseconds since the machine started: instants of different processes can be compared.
pub(crate) fn now() -> u64 {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// Milliseconds of the wall clock.
pub(crate) fn unix_millis() -> u64 {
    nanos(clock_gettime(ClockId::Realtime)) / 1_000_000
}

/// Seconds of CPU that this process has used, all of its threads together.
pub(crate) fn own_cpu() -> f64 {
    seconds(nanos(clock_gettime(ClockId::ProcessCPUTime)))
}

pub(crate) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

fn nanos(time: Timespec) -> u64 {
    // These clocks never show what is negative.
    u64::try_from(time.tv_sec).unwrap_or(0) * NANOS + u64::try_from(time.tv_nsec).unwrap_or(0)
}
