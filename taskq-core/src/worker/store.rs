//! Whether the result store takes results. When it has not for long, they go another way at once.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct StoreWatch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    away_since: Option<Instant>,
    /// Somebody finds out whether it is back.
    is_probed: bool,
}

impl StoreWatch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to ask it at all: while it is away for longer than `patience`, one at a time does.
    pub(super) fn may_ask(&self, patience: Duration) -> bool {
        let mut state = self.state();
        let is_given_up = state.away_since.is_some_and(|since| since.elapsed() >= patience);
        !(is_given_up && std::mem::replace(&mut state.is_probed, true))
    }

    /// Whether it was away when it was last asked to take a result.
    pub(super) fn is_away(&self) -> bool {
        self.state().away_since.is_some()
    }

    pub(super) fn answered(&self) {
        *self.state() = State::default();
    }

    /// Whether it has been away for longer than `patience` by now.
    pub(super) fn failed(&self, patience: Duration) -> bool {
        let mut state = self.state();
        state.is_probed = false;
        state.away_since.get_or_insert_with(Instant::now).elapsed() >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_for_long_is_asked_by_one_at_a_time_until_it_answers() {
        let watch = StoreWatch::default();
        assert!(watch.may_ask(PATIENCE) && !watch.failed(PATIENCE));
        assert!(watch.may_ask(PATIENCE) && watch.may_ask(PATIENCE), "all ask while there is patience");
        tokio::time::advance(PATIENCE).await;
        assert!(watch.failed(PATIENCE));
        assert!(watch.may_ask(PATIENCE) && !watch.may_ask(PATIENCE));
        assert!(watch.failed(PATIENCE));
        assert!(watch.may_ask(PATIENCE));
        assert!(watch.is_away());
        watch.answered();
        assert!(!watch.is_away());
        assert!(watch.may_ask(PATIENCE) && watch.may_ask(PATIENCE) && !watch.failed(PATIENCE));
    }
}
