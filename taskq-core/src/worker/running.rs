//! What runs in this worker at present, so that a message of a run that comes again joins it instead of starting another.

use crate::{
    claims::RunId,
    delivery::{Settlement, Unsettled},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
pub(super) struct Running(Mutex<HashMap<RunId, Vec<Unsettled>>>);

impl Running {
    /// Enters a run, or, if it runs here already, hands the duty to settle over to that run and gives `None`: after a
    /// lost connection the broker sends the message again while it is still running.
    pub(super) fn enter(self: &Arc<Self>, run: RunId, unsettled: Unsettled) -> Option<Seat> {
        match self.runs().entry(run.clone()) {
            Entry::Occupied(mut joined) => {
                joined.get_mut().push(unsettled);
                return None;
            }
            // Nothing is allocated for what hardly ever comes.
            Entry::Vacant(free) => drop(free.insert(Vec::new())),
        }
        Some(Seat { entered: Some((self.clone(), run)), own: Some(unsettled), joined: Vec::new() })
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Vec<Unsettled>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to settle all deliveries of one run. Dropping it gives them back.
pub(super) struct Seat {
    entered: Option<(Arc<Running>, RunId)>,
    /// That which the run began with.
    own: Option<Unsettled>,
    /// Those that joined it before it stepped aside; until then they are entered.
    joined: Vec<Unsettled>,
}

impl Seat {
    /// For a message that names no run.
    pub(super) fn unnamed(unsettled: Unsettled) -> Self {
        Seat { entered: None, own: Some(unsettled), joined: Vec::new() }
    }

    /// Acknowledges the delivery that the run began with; what joins it meanwhile is settled with its end.
    pub(super) fn ack_first(&mut self) {
        if let Some(own) = self.own.take() {
            own.ack();
        }
    }

    /// From now on nothing joins: what comes is a run of its own.
    pub(super) fn step_aside(&mut self) {
        let joined = self.leave();
        self.joined.extend(joined);
    }

    pub(super) fn settle(mut self, settlement: Settlement) {
        self.step_aside();
        for unsettled in self.own.take().into_iter().chain(self.joined.drain(..)) {
            match settlement {
                Settlement::Ack => unsettled.ack(),
                Settlement::Requeue => unsettled.requeue(),
            }
        }
    }

    fn leave(&mut self) -> Vec<Unsettled> {
        self.entered.take().and_then(|(running, run)| running.runs().remove(&run)).unwrap_or_default()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.leave());
    }
}
