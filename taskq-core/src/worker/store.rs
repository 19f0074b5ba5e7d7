//! What the result store makes of results, and whether it takes any. When it has not for long, they go another way at once.

use super::process::Processor;
use crate::{error::ResultError, record::ResultRecord};
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct StoreWatch {
    /// What nearly always is all there is to know.
    is_away: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    away_since: Option<Instant>,
    /// Somebody finds out whether it is back.
    is_probed: bool,
}

impl State {
    fn is_away_for(&self, patience: Duration) -> bool {
        self.away_since.is_some_and(|since| since.elapsed() >= patience)
    }
}

impl StoreWatch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to ask it at all: while it is away for longer than `patience`, one at a time does.
    pub(super) fn may_ask(&self, patience: Duration) -> bool {
        if !self.is_away() {
            return true;
        }
        let mut state = self.state();
        !(state.is_away_for(patience) && std::mem::replace(&mut state.is_probed, true))
    }

    /// Whether it was away when it was last asked to take a result.
    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    pub(super) fn answered(&self) {
        if self.is_away() {
            *self.state() = State::default();
            self.is_away.store(false, Ordering::Release);
        }
    }

    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.is_probed = false;
        state.away_since.get_or_insert_with(Instant::now);
        self.is_away.store(true, Ordering::Release);
    }

    /// Whether it has been away for longer than `patience` by now.
    pub(super) fn is_away_for(&self, patience: Duration) -> bool {
        self.is_away() && self.state().is_away_for(patience)
    }
}

/// What became of a record.
pub(super) enum Stored {
    Kept,
    /// There is one of this round already.
    Earlier(Box<ResultRecord>),
    NotYet,
}

impl Processor {
    /// What became of a record, by the store's answer.
    pub(super) fn stored(&self, answer: Result<Option<ResultRecord>, ResultError>) -> Stored {
        match answer {
            Ok(earlier) => {
                self.store.answered();
                earlier.map_or(Stored::Kept, |earlier| Stored::Earlier(Box::new(earlier)))
            }
            Err(ResultError::Decode { source, .. }) => {
                self.store.answered();
                let error = &*source as &dyn std::error::Error;
                tracing::warn!(error, "an earlier record is there, but cannot be read");
                Stored::Kept
            }
            Err(error) => {
                self.store.failed();
                tracing::warn!(error = &error as &dyn std::error::Error, "the result is not stored yet");
                Stored::NotYet
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_for_long_is_asked_by_one_at_a_time_until_it_answers() {
        let watch = StoreWatch::default();
        assert!(watch.may_ask(PATIENCE));
        watch.failed();
        assert!(!watch.is_away_for(PATIENCE));
        assert!(watch.may_ask(PATIENCE) && watch.may_ask(PATIENCE), "all ask while there is patience");
        tokio::time::advance(PATIENCE).await;
        assert!(watch.is_away_for(PATIENCE));
        assert!(watch.may_ask(PATIENCE) && !watch.may_ask(PATIENCE));
        watch.failed();
        assert!(watch.may_ask(PATIENCE));
        assert!(watch.is_away());
        watch.answered();
        assert!(!watch.is_away());
        assert!(watch.may_ask(PATIENCE) && watch.may_ask(PATIENCE) && !watch.is_away_for(PATIENCE));
    }
}
