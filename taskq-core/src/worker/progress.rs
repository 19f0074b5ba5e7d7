//! Ready work, and whether it goes on. A task that blocks its thread holds up what waits behind it there; nobody on that thread
//! can see it.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// What was watched at the last beat, and how far it was then.
static WATCHED: Mutex<Vec<(Weak<Progress>, u64)>> = Mutex::new(Vec::new());

/// How one kind of ready work goes on.
pub(super) struct Progress {
    has_ready: AtomicBool,
    steps: AtomicU64,
    call_help: Box<dyn Fn() + Send + Sync>,
}

impl Progress {
    /// `call_help` is called, on another thread, when something is ready for a beat without a step. It must not block.
    pub(super) fn watched(call_help: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        let (has_ready, steps, call_help) = (AtomicBool::new(false), AtomicU64::new(0), Box::new(call_help));
        let progress = Arc::new(Progress { has_ready, steps, call_help });
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|(progress, _)| progress.strong_count() > 0);
        watched.push((Arc::downgrade(&progress), 0));
        progress
    }

    pub(super) fn has_ready(&self, has_ready: bool) {
        self.has_ready.store(has_ready, Ordering::Relaxed);
    }

    pub(super) fn goes_on(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

/// Calls help where it is needed; tells whether anything goes on or is ready. To be called once a beat.
pub(super) fn look_at_all() -> bool {
    let mut is_busy = false;
    let mut held_up = Vec::new();
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.retain_mut(|(progress, before)| {
        let Some(progress) = progress.upgrade() else { return false };
        let steps = progress.steps.load(Ordering::Relaxed);
        let goes_on = steps != std::mem::replace(before, steps);
        let has_ready = progress.has_ready.load(Ordering::Relaxed);
        is_busy |= goes_on || has_ready;
        if has_ready && !goes_on {
            held_up.push(progress);
        }
        true
    });
    drop(watched);
    held_up.iter().for_each(|progress| (progress.call_help)());
    is_busy
}
