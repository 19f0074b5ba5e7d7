//! Counts what a worker has handled, in the same way on both sides.

use crate::{
    amounts::WARM_UP,
    clock,
    distribution::Distribution,
    protocol::{Figures, Noting},
};
use anyhow::Result;
use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

static METER: OnceLock<Meter> = OnceLock::new();

/// What this process has handled.
#[derive(Debug)]
pub(crate) struct Meter {
    target: u64,
    handled: AtomicU64,
    first: AtomicU64,
    reached: Notify,
    /// From when a task was to be published until it was handled, of what is no part of the beginning.
    waits: Option<Mutex<Distribution>>,
}

impl Meter {
    /// That of this process, for as long as it runs.
    pub(crate) fn start(target: u64, noting: Noting) -> Result<&'static Meter> {
        let waits = if noting == Noting::Waits { Some(Mutex::new(Distribution::new()?)) } else { None };
        let (handled, first, reached) = (AtomicU64::new(0), AtomicU64::new(0), Notify::new());
        Ok(METER.get_or_init(|| Meter { target, handled, first, reached, waits }))
    }

    /// A task is handled that was to be published at this moment.
    pub(crate) fn handle(&self, intended: u64) {
        if self.first() == 0 {
            // Whoever comes second leaves it as it is.
            let _ = self.first.compare_exchange(0, clock::now(), Ordering::Relaxed, Ordering::Relaxed);
        }
        let before = self.handled.fetch_add(1, Ordering::Relaxed);
        if let Some(waits) = &self.waits
            && Duration::from_nanos(intended.saturating_sub(self.first())) >= WARM_UP
        {
            let wait = clock::now().saturating_sub(intended);
            waits.lock().unwrap_or_else(PoisonError::into_inner).record(wait);
        }
        if before + 1 == self.target {
            self.reached.notify_one();
        }
    }

    pub(crate) fn target(&self) -> u64 {
        self.target
    }

    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    pub(crate) fn is_reached(&self) -> bool {
        self.handled() >= self.target
    }

    /// When the first task was handled.
    pub(crate) fn first(&self) -> u64 {
        self.first.load(Ordering::Relaxed)
    }

    /// Resolves when the target is reached, or has been.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Adds what was noted to the figures of a report.
    pub(crate) fn note(&self, settled: u64, figures: &mut Figures) {
        figures.insert("first handled".into(), self.first() as f64);
        figures.insert("last settled".into(), settled as f64);
        if let Some(waits) = &self.waits {
            waits.lock().unwrap_or_else(PoisonError::into_inner).put("queueing", figures);
        }
    }
}

/// A task of this process is handled.
pub(crate) fn handle(intended: u64) {
    if let Some(meter) = METER.get() {
        meter.handle(intended);
    }
}
