//! What runs in this worker at present, so that a message of a run that comes again joins it instead of starting another.

use crate::{
    claims::RunId,
    delivery::{Settlement, Unsettled},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
pub(super) struct Running(Mutex<HashMap<RunId, Vec<Unsettled>>>);

impl Running {
    /// Enters a run, or, if it runs here already, hands the duty to settle over to that run and gives `None`: after a
    /// lost connection the broker sends the message again while it is still running.
    pub(super) fn enter(self: &Arc<Self>, run: RunId, unsettled: Unsettled) -> Option<Seat> {
        if let Some(joined) = self.runs().get_mut(&run) {
            joined.push(unsettled);
            return None;
        }
        self.runs().insert(run.clone(), Vec::new());
        Some(Seat { entered: Some((self.clone(), run)), held: vec![unsettled] })
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Vec<Unsettled>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to settle all deliveries of one run. Dropping it gives them back.
pub(super) struct Seat {
    entered: Option<(Arc<Running>, RunId)>,
    /// That which the run began with; those that joined it are entered.
    held: Vec<Unsettled>,
}

impl Seat {
    /// For a message that names no run.
    pub(super) fn unnamed(unsettled: Unsettled) -> Self {
        Seat { entered: None, held: vec![unsettled] }
    }

    /// Acknowledges the delivery that the run began with; what joins it meanwhile is settled with its end.
    pub(super) fn ack_first(&mut self) {
        for own in self.held.drain(..) {
            own.ack();
        }
    }

    /// From now on nothing joins: what comes is a run of its own.
    pub(super) fn step_aside(&mut self) {
        let joined = self.leave();
        self.held.extend(joined);
    }

    pub(super) fn settle(mut self, settlement: Settlement) {
        self.step_aside();
        for unsettled in self.held.drain(..) {
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
