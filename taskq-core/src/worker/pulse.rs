//! Whether this process was stood still: by a debugger, a stopped container, a machine that slept.
//!
//! Such a process believes that it has what it had before, while the broker has given its deliveries to others.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const BEAT: Duration = Duration::from_millis(500);
/// Shorter than any time after which a broker gives a silent connection up, longer than a busy machine's hesitation.
const GAP: Duration = Duration::from_secs(2);

/// Beats on a thread of its own: no task can hold it up.
#[derive(Clone, Default)]
pub(super) struct Pulse(Arc<State>);

#[derive(Default)]
struct State {
    /// The last beat, in milliseconds of the system's clock; 0 before the first.
    last: AtomicU64,
    gaps: AtomicU64,
}

/// A moment to compare a later one with.
#[derive(Clone, Copy)]
pub(super) struct Moment(u64);

impl Pulse {
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let pulse = Pulse::default();
        pulse.beat();
        let state = Arc::downgrade(&pulse.0);
        std::thread::Builder::new().name("taskq-pulse".into()).spawn(move || {
            while let Some(state) = state.upgrade() {
                Pulse(state).beat();
                std::thread::sleep(BEAT);
            }
        })?;
        Ok(pulse)
    }

    fn beat(&self) {
        let (last, now) = (self.0.last.load(Ordering::Acquire), wall_clock());
        if last > 0 && is_gap(last, now) {
            tracing::warn!(stood_still = ?Duration::from_millis(now.abs_diff(last)), "this process stood still");
            self.0.gaps.fetch_add(1, Ordering::AcqRel);
        }
        // After the gap was counted: whoever looks in between sees one or the other.
        self.0.last.store(now, Ordering::Release);
    }

    pub(super) fn now(&self) -> Moment {
        Moment(self.0.gaps.load(Ordering::Acquire))
    }

    /// Whether the process stood still after `then`, noticed or not. A step of the system's clock looks the same.
    pub(super) fn stood_still_since(&self, then: Moment) -> bool {
        let last = self.0.last.load(Ordering::Acquire);
        (last > 0 && is_gap(last, wall_clock())) || self.now().0 != then.0
    }
}

/// The system's own: paused test time does not matter here, and the monotonic clock does not count a machine's sleep.
#[allow(clippy::disallowed_methods, reason = "not the clock that follows paused time")]
fn wall_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn is_gap(last: u64, now: u64) -> bool {
    now.abs_diff(last) > GAP.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_seen_before_and_after_the_next_beat() {
        let pulse = Pulse::default();
        let began = pulse.now();
        assert!(!pulse.stood_still_since(began), "it never beat");
        pulse.beat();
        assert!(!pulse.stood_still_since(began));
        pulse.0.last.fetch_sub(10_000, Ordering::AcqRel);
        assert!(pulse.stood_still_since(began));
        pulse.beat();
        assert!(pulse.stood_still_since(began));
        assert!(!pulse.stood_still_since(pulse.now()));
    }
}
