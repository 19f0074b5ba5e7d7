//! One publishing channel and all messages that go by it. Whoever has a message hands it over here, and whoever waits for one
//! looks at what the server has said, about the others' messages too; everything else is done by the [`super::keeper`].
//!
//! Everything happens under one lock, so that the order of calls is the order on the wire. Callers are told after it.

use super::{job::Job, room::Awaited, state::State, wakes::Wakes};
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

pub(super) struct Lane {
    state: Mutex<State>,
    wakes: Arc<Wakes>,
}

impl Lane {
    pub(super) fn new(room: Awaited) -> Lane {
        Lane { state: Mutex::default(), wakes: Arc::new(Wakes::new(room)) }
    }

    pub(super) fn wakes(&self) -> &Arc<Wakes> {
        &self.wakes
    }

    /// Hands a message over, or keeps it until that can be done.
    pub(super) fn submit(&self, job: Box<Job>) {
        self.as_caller(|state, wakes| {
            state.take_in(wakes);
            state.accept(job);
            state.hand_over_all(wakes);
        });
    }

    /// Looks at what the server has said.
    pub(super) fn take_in(&self) {
        if !self.wakes.is_empty() {
            self.as_caller(|state, wakes| {
                state.take_in(wakes);
                state.hand_over_all(wakes);
            });
        }
    }

    fn as_caller(&self, act: impl FnOnce(&mut State, &Wakes)) {
        let is_keeper_wanted = self.with(|state, wakes| {
            act(state, wakes);
            state.wants_keeper()
        });
        if is_keeper_wanted {
            self.wakes.call_keeper();
        }
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State, &Wakes) -> R) -> R {
        let (result, finished) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut state, &self.wakes);
            self.wakes.set_busy(state.is_busy());
            (result, mem::take(&mut state.finished))
        };
        finished.tell();
        result
    }
}
