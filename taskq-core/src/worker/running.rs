//! What runs in this worker at present, so that a message of a run that comes again joins it instead of starting another.

use super::{
    alarms::Alarm,
    process::{Processor, Source},
};
use crate::{
    delivery::{Settle, Settlement, Unsettled},
    message::Message,
};
use foldhash::{HashMap, HashSet};
use std::{
    hash::{Hash, Hasher},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
pub(super) struct Running(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    entered: HashSet<OfRun>,
    /// What has joined one of them: hardly ever any.
    joined: HashMap<OfRun, Vec<Unsettled>>,
}

impl Runs {
    fn leave(&mut self, run: &OfRun) -> Vec<Unsettled> {
        self.entered.remove(run);
        if self.joined.is_empty() { Vec::new() } else { self.joined.remove(run).unwrap_or_default() }
    }
}

/// A message, by the run that it asks for.
#[derive(Clone)]
struct OfRun(Arc<Message>);

impl PartialEq for OfRun {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (&self.0, &other.0);
        (&one.id, one.round, one.attempt) == (&other.id, other.round, other.attempt)
    }
}

impl Eq for OfRun {}

impl Hash for OfRun {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.0.id, self.0.round, self.0.attempt).hash(state);
    }
}

impl Running {
    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one run in its worker: what else asks for that run joins it, an alarm wakes it, and it has the duty to settle all
/// its deliveries. Dropping it gives them back.
pub(super) struct Seat {
    source: Arc<Source>,
    entry: Entry,
    alarm: Alarm,
    /// That which the run began with.
    own: Unsettled,
}

enum Entry {
    /// Those that join are kept where it is entered.
    Entered(OfRun),
    /// Nothing joins any more; these had joined before.
    #[expect(clippy::box_collection, reason = "each run has room for this, and hardly any comes to it")]
    Aside(Box<Vec<Unsettled>>),
    Left,
}

impl Seat {
    /// Enters a run, or, if it runs here already, hands the duty to settle over to that run and gives `None`: after a
    /// lost connection the broker sends the message again while it is still running.
    pub(super) fn take(source: &Arc<Source>, message: &Arc<Message>, unsettled: Unsettled) -> Option<Self> {
        let run = OfRun(message.clone());
        let mut runs = source.processor.running.runs();
        if !runs.entered.insert(run.clone()) {
            runs.joined.entry(run).or_default().push(unsettled);
            return None;
        }
        drop(runs);
        Some(Seat { source: source.clone(), entry: Entry::Entered(run), alarm: Alarm::default(), own: unsettled })
    }

    /// For a message that names no run.
    pub(super) fn unnamed(source: &Arc<Source>, unsettled: Unsettled) -> Self {
        Seat { source: source.clone(), entry: Entry::Left, alarm: Alarm::default(), own: unsettled }
    }

    /// Where the run's message came from.
    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Who processes the run, and its alarm.
    pub(super) fn watched(&mut self) -> (&Arc<Processor>, &mut Alarm) {
        (&self.source.processor, &mut self.alarm)
    }

    pub(super) fn end_alarm(&mut self) {
        self.alarm.end(&self.source.processor.alarms);
    }

    /// Acknowledges the delivery that the run began with; what joins it meanwhile is settled with its end.
    pub(super) fn ack_first(&mut self) {
        self.own.tell(Settlement::Ack);
    }

    /// From now on nothing joins: what comes is a run of its own.
    pub(super) fn step_aside(&mut self) {
        self.entry = Entry::Aside(Box::new(self.leave()));
    }

    /// Gives what has joined.
    fn leave(&mut self) -> Vec<Unsettled> {
        match mem::replace(&mut self.entry, Entry::Left) {
            Entry::Entered(run) => self.source.processor.running.runs().leave(&run),
            Entry::Aside(joined) => *joined,
            Entry::Left => Vec::new(),
        }
    }

    /// What the delivery that the run began with is settled with.
    pub(super) fn settler(&self) -> Option<&Arc<dyn Settle>> {
        self.own.settler()
    }

    pub(super) fn settle(mut self, settlement: Settlement) {
        let joined = self.leave();
        self.own.tell(settlement);
        joined.into_iter().for_each(|mut unsettled| unsettled.tell(settlement));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.end_alarm();
        drop(self.leave());
    }
}
