//! How a run goes: what is in flight, from the ledgers as they grow.

use crate::{
    ledger::{Decision, Event, Reader},
    plan::Kind,
};
use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const PERIOD: Duration = Duration::from_millis(200);

/// Follows the ledgers of a run while it lives.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Tags of tasks that may end without the worker's word: because they end their worker, or are not run at all.
    silent: HashSet<String>,
    /// Ids.
    confirmed: HashSet<String>,
    /// Ids.
    ended: HashSet<String>,
    starts: usize,
}

impl Progress {
    pub(crate) fn follow(ledgers: &Path) -> Progress {
        let progress = Progress(Arc::default());
        let (state, mut reader) = (Arc::downgrade(&progress.0), Reader::new(ledgers));
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PERIOD);
            loop {
                ticks.tick().await;
                let Some(state) = state.upgrade() else { return };
                // The checker reads everything again in the end, and says what is wrong with a line.
                let lines = reader.read().unwrap_or_default();
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                lines.into_iter().for_each(|line| state.see(line.event));
            }
        });
        progress
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn confirmed(&self) -> usize {
        self.state().confirmed.len()
    }

    /// Tasks that were confirmed and have not ended.
    pub(crate) fn in_flight(&self) -> usize {
        let state = self.state();
        state.confirmed.difference(&state.ended).count()
    }

    pub(crate) fn starts(&self) -> usize {
        self.state().starts
    }
}

impl State {
    fn see(&mut self, event: Event) {
        match event {
            Event::Submit { tag, plan } if matches!(plan.kind, Kind::AbortsAlways | Kind::Brief { .. }) => {
                self.silent.insert(tag);
            }
            Event::Confirmed { tag, id } if !self.silent.contains(&tag) => drop(self.confirmed.insert(id)),
            Event::Start { .. } => self.starts += 1,
            Event::Decided { id, verdict: Decision::Finished | Decision::DeadLetter, .. } => {
                self.ended.insert(id);
            }
            _ => {}
        }
    }
}
