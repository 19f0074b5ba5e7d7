//! A thread of its own that sees what tasks cannot: whether this process stood still, and whether a task stands still on a thread
//! that others wait for.
//!
//! While a process is stopped, or is given no time, whoever talks to it may give it up, and after it goes on a run may end before
//! anybody here has noticed.

use super::progress;
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const BEAT: Duration = Duration::from_millis(250);
/// The same while there is work.
const BUSY_BEAT: Duration = Duration::from_millis(25);
/// Less than the silence after which a broker gives up a client: two heartbeats, of one second at least.
const STANDSTILL: Duration = Duration::from_secs(1);

static PULSE: LazyLock<Pulse> = LazyLock::new(|| {
    let beat = || {
        let mut pause = BEAT;
        loop {
            thread::sleep(pause);
            PULSE.beat();
            pause = if progress::look_at_all() { BUSY_BEAT } else { BEAT };
        }
    };
    let beats = thread::Builder::new().name("taskq-pulse".into()).spawn(beat);
    if let Err(error) = &beats {
        // Each look after a second counts as one, which is on the safe side. And every run is spawned.
        tracing::warn!(%error, "no thread to see by whether the process, or a task of it, stands still");
    }
    Pulse { began: Instant::now(), beats: beats.is_ok(), last_beat: AtomicU64::new(0), standstills: AtomicU64::new(0) }
});

struct Pulse {
    began: Instant,
    beats: bool,
    /// Milliseconds since then.
    last_beat: AtomicU64,
    standstills: AtomicU64,
}

impl Pulse {
    /// Counts a standstill if there was one, be it twice.
    fn look(&self) -> u64 {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let since = now.saturating_sub(self.last_beat.load(Ordering::Acquire));
        if Duration::from_millis(since) > STANDSTILL {
            self.standstills.fetch_add(1, Ordering::AcqRel);
            self.last_beat.fetch_max(now, Ordering::AcqRel);
        }
        now
    }

    fn beat(&self) {
        let now = self.look();
        self.last_beat.fetch_max(now, Ordering::AcqRel);
    }
}

/// Whether there is a thread that beats.
pub(super) fn beats() -> bool {
    PULSE.beats
}

/// How often the process has stood still so far. A thread of its own keeps watch: tasks may block all others.
pub(super) fn standstills() -> u64 {
    PULSE.look();
    PULSE.standstills.load(Ordering::Acquire)
}
