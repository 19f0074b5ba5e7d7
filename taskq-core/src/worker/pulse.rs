//! Whether this process stood still: was stopped for a while, or was given no time.
//!
//! Whoever talks to it may have given it up meanwhile, and after it goes on a run may end before anybody here has noticed.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

const BEAT: Duration = Duration::from_millis(250);
/// Less than the silence after which a broker gives up a client: two heartbeats, of one second at least.
const STANDSTILL: Duration = Duration::from_secs(1);

static PULSE: LazyLock<Pulse> = LazyLock::new(|| {
    let beat = || {
        loop {
            thread::sleep(BEAT);
            standstills();
        }
    };
    if let Err(error) = thread::Builder::new().name("taskq-pulse".into()).spawn(beat) {
        // Each look at it then counts as one, which is on the safe side.
        tracing::warn!(%error, "no thread to see by whether the process stands still");
    }
    Pulse(Mutex::new(Beats { last: Instant::now(), standstills: 0 }))
});

struct Pulse(Mutex<Beats>);

struct Beats {
    last: Instant,
    standstills: u64,
}

/// How often the process has stood still so far. A thread of its own keeps watch: tasks may block all others.
pub(super) fn standstills() -> u64 {
    let mut beats = PULSE.0.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if now.duration_since(beats.last) > STANDSTILL {
        beats.standstills += 1;
    }
    beats.last = now;
    beats.standstills
}
