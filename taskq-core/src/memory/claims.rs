//! Who runs what, inside this process.

use crate::{
    claims::{Bid, RunId},
    defaults::SILENT_ENDS,
    record::ResultRecord,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What is known of the runs of one task.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    round: u32,
    attempt: u32,
    holder: Option<Holder>,
    /// Claims that were given; an owner who asks again has a new one, and the old one is void.
    given: u64,
    /// Starts of this attempt that ended without a word.
    silent: u32,
    carried: Option<Carried>,
}

#[derive(Debug, Clone)]
struct Holder {
    owner: Arc<str>,
    lost: CancellationToken,
    /// The run of a suspect has begun: it is to blame for how it ends.
    begun: bool,
}

/// The last attempt whose verdict was carried out.
#[derive(Debug, Clone, Copy)]
struct Carried {
    attempt: u32,
    ended: bool,
}

/// What [`Notes::bid`] answers.
#[derive(Debug)]
pub(super) enum Decision {
    Run(CancellationToken, u64),
    Free,
    Suspect(u32),
    Elsewhere,
    Ended,
    CarriedOut,
    Poison(u32),
}

impl Notes {
    /// Decides a bid, given the record of the task's end if there is one of its round or a higher one.
    pub(super) fn bid(&mut self, bid: &Bid, ended: Option<&ResultRecord>) -> Decision {
        let run = &bid.run;
        if run.round < self.round {
            return Decision::CarriedOut;
        }
        if run.round > self.round || self.is_over(bid, ended) {
            *self = Notes { round: run.round, given: self.given, ..Notes::default() };
        }
        if self.carried.is_some_and(|carried| carried.attempt >= run.attempt) || self.attempt > run.attempt {
            return Decision::CarriedOut;
        }
        // Before any record is looked at: what follows the end is being done there.
        if self.holder.as_ref().is_some_and(|holder| holder.owner != bid.owner) {
            return Decision::Elsewhere;
        }
        if ended.is_some() {
            return Decision::Ended;
        }
        if bid.look {
            return Decision::Free;
        }
        if self.attempt < run.attempt {
            (self.attempt, self.silent) = (run.attempt, 0);
        }
        match self.silent {
            SILENT_ENDS.. => Decision::Poison(self.silent),
            1.. if !bid.alone => Decision::Suspect(self.silent),
            _ => Decision::Run(self.hold(bid), self.given),
        }
    }

    /// Whether the bid is a new submission of a task that has ended, and of which nothing is kept.
    fn is_over(&self, bid: &Bid, ended: Option<&ResultRecord>) -> bool {
        bid.check && ended.is_none() && self.carried.is_some_and(|carried| carried.ended)
    }

    fn hold(&mut self, bid: &Bid) -> CancellationToken {
        self.given += 1;
        let holder = Holder { owner: bid.owner.clone(), lost: CancellationToken::new(), begun: false };
        self.holder.get_or_insert(holder).lost.clone()
    }

    /// Ends a claim: given back, or, without a word, counted.
    pub(super) fn release(&mut self, run: &RunId, claim: u64, is_silent: bool) {
        if self.is_current(run, claim)
            && let Some(holder) = self.holder.take()
        {
            // The first such end makes it a suspect, be it to blame or not.
            self.silent += u32::from(is_silent && (self.silent == 0 || holder.begun));
        }
    }

    /// Whether the claim is still the one that was given last.
    fn is_current(&self, run: &RunId, claim: u64) -> bool {
        self.round == run.round && self.given == claim
    }

    pub(super) fn begin(&mut self, run: &RunId, claim: u64) -> bool {
        let is_current = self.is_current(run, claim);
        match &mut self.holder {
            Some(holder) if is_current => {
                holder.begun = true;
                true
            }
            _ => false,
        }
    }

    pub(super) fn carried_out(&mut self, bid: &Bid, ended: bool) {
        let run = &bid.run;
        let is_anothers = self.holder.as_ref().is_some_and(|holder| holder.owner != bid.owner);
        if is_anothers || self.round > run.round || self.attempt > run.attempt {
            return;
        }
        let carried = Some(Carried { attempt: run.attempt, ended });
        *self = Notes { round: run.round, attempt: run.attempt, carried, given: self.given, ..Notes::default() };
    }
}
