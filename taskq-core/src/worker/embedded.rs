//! Running tasks without a worker being started, for a broker inside this process: one worker per runtime that submits,
//! so that a task runs where it was submitted.

use super::Worker;
use crate::app::App;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::runtime::{self, Handle};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(crate) struct Embedded(Mutex<State>);

#[derive(Default)]
struct State {
    /// Few: one as a rule.
    runtimes: Vec<runtime::Id>,
    /// Workers that were started by hand: they take the place of the embedded ones.
    by_hand: usize,
    stopped: bool,
    stop: CancellationToken,
}

impl Embedded {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends for good.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.stop.cancel();
    }

    /// Whether it has ended for good.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Ends while the returned guard lives.
    pub(crate) fn pause(&self) -> Pause<'_> {
        let mut state = self.lock();
        state.by_hand += 1;
        state.stop.cancel();
        state.stop = CancellationToken::new();
        state.runtimes.clear();
        Pause(self)
    }

    /// The stop signal of a worker that is to be spawned on this runtime; `None` if there is one, or must not be.
    fn enter(&self, runtime: runtime::Id) -> Option<CancellationToken> {
        let mut state = self.lock();
        if state.stopped || state.by_hand > 0 || state.runtimes.contains(&runtime) {
            return None;
        }
        state.runtimes.push(runtime);
        Some(state.stop.clone())
    }
}

/// See [`Embedded::pause`].
pub(crate) struct Pause<'a>(&'a Embedded);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.lock().by_hand -= 1;
    }
}

/// Forgets a runtime when its worker ends, which it does at the latest when the runtime is dropped.
struct Leave {
    app: App,
    runtime: runtime::Id,
    stop: CancellationToken,
}

impl Drop for Leave {
    fn drop(&mut self) {
        // Under a cancelled token the list was cleared, or holds the runtime for a worker after this one.
        if !self.stop.is_cancelled() {
            self.app.embedded().lock().runtimes.retain(|runtime| *runtime != self.runtime);
        }
    }
}

impl App {
    /// Sees to it that tasks submitted on this runtime are run, if the broker leaves that to the app.
    pub(crate) fn run_embedded(&self) {
        if self.broker().embedded_concurrency(self.default_queue()).is_none() {
            return;
        }
        let Ok(handle) = Handle::try_current() else { return };
        let Some(stop) = self.embedded().enter(handle.id()) else { return };
        let leave = Leave { app: self.clone(), runtime: handle.id(), stop: stop.clone() };
        handle.spawn(async move {
            let _leave = leave;
            let worker = Worker { embedded: true, ..Worker::new(_leave.app.clone()) };
            if let Err(error) = worker.run_until_stopped(stop, CancellationToken::new()).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "the app's own worker has ended");
            }
        });
    }
}
