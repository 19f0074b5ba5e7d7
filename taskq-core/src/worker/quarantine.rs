//! While a run goes on whose next end without a word is its last, nothing begins beside it: such an end is its own then, and
//! not that of a task which came as healthy as any other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// For so long others wait. A run that goes on for longer has not ended its process as those do that are looked for.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Quarantine {
    /// What nearly always is all there is to know.
    is_on: AtomicBool,
    /// When it ends, if nothing ends it before.
    until: watch::Sender<Option<Instant>>,
}

impl Quarantine {
    /// Nothing more begins until what this gives is dropped. One at a time: suspects take turns.
    pub(super) fn begin(self: &Arc<Self>) -> Quarantined {
        self.until.send_replace(Some(Instant::now() + LONGEST));
        self.is_on.store(true, Ordering::Release);
        Quarantined(self.clone())
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire) && self.until.borrow().is_some_and(|until| until > Instant::now())
    }

    /// Resolves when a run may begin. Cancel safe.
    pub(super) async fn over(&self) {
        let mut changes = self.until.subscribe();
        loop {
            let Some(until) = *changes.borrow_and_update() else { return };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep_until(until) => return,
            }
        }
    }
}

/// Ends the quarantine when it is dropped.
pub(super) struct Quarantined(Arc<Quarantine>);

impl Drop for Quarantined {
    fn drop(&mut self) {
        self.0.is_on.store(false, Ordering::Release);
        self.0.until.send_replace(None);
    }
}
