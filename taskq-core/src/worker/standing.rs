//! The right of one run to go on and to be carried out.
//!
//! A healthy first delivery has it by itself: the broker gives it to nobody else. When its connection is lost it has to
//! claim it; a delivery that may have run before claims it before it begins. A run that goes on leaves a mark, by which a
//! copy of its message, sent after a lost confirm, learns of it.

use super::{patience::Patience, process::Processor, pulse, quarantine::Quarantined, watch::Stage};
use crate::{
    claims::{Bid, Claim, ClaimAnswer, Mark, RunId},
    clock::Tick,
    defaults::{START_LIMIT, TRUST},
    delivery::Line,
    error::ResultError,
    id::TaskId,
    message::Message,
};
use std::time::Duration;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// What a delivery's right to run rests on before it is claimed: that the broker still counts on this process.
#[derive(Clone)]
pub(super) struct Footing {
    line: Option<Line>,
    standstills: u64,
    since: Tick,
}

impl Footing {
    /// That of a delivery which has come just now, and which the broker has sent after that instant.
    pub(super) fn new(line: Option<Line>, since: Instant) -> Self {
        Footing { line, standstills: pulse::standstills(), since: since.into() }
    }

    /// Until when no copy of the message can be running: whoever has one waits for longer before it begins.
    pub(super) fn trusted_until(&self) -> Instant {
        self.since.instant() + TRUST
    }

    /// Whether no copy of the message can be running, while the broker counts on this process.
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.trusted_until()
    }

    /// Whether the line is known to be cut.
    pub(super) fn is_cut(&self) -> bool {
        self.line.as_ref().is_some_and(Line::is_cut)
    }

    /// Whether the broker may have given the message to somebody else.
    pub(super) fn is_lost(&self) -> bool {
        // A process that was stopped may not have noticed yet what became of its connections.
        self.is_cut() || pulse::standstills() != self.standstills
    }
}

impl Default for Footing {
    /// That of a message which no connection brought.
    fn default() -> Self {
        Footing::new(None, Instant::now())
    }
}

/// The room that a suspect has to itself.
pub(super) struct Alone {
    pub(super) _turn: OwnedSemaphorePermit,
    pub(super) _quarantine: Option<Quarantined>,
}

/// Whoever awaits with it has it `&mut`, though nothing changes: what is being asked can be sent to another thread, not shared.
pub(super) struct Standing {
    pub(super) footing: Footing,
    /// Most that end soon have none.
    dealings: Option<Box<Dealings>>,
}

/// What the result store was asked about a run, or told of it, and by what the run is known to be this worker's.
#[derive(Default)]
struct Dealings {
    /// Of a run that needs no claim. All that go on for long have one, and few anything else.
    mark: Option<Mark>,
    question: Option<Box<Question>>,
    stage: Stage,
}

/// What was asked about the right to run, and was answered.
struct Question {
    bid: Bid,
    /// Its delivery was in no doubt: nobody had it.
    is_looked_up: bool,
    claim: Option<Claim>,
    /// Held by a suspect, so that no other one runs beside it.
    alone: Option<Alone>,
}

impl Question {
    fn about(processor: &Processor, message: &Message) -> Self {
        let mut bid = Bid::new(RunId::of(message), format!("{}/{}", processor.name, TaskId::new()));
        bid.check = message.check;
        bid.original = !message.republished && !message.check;
        Question { bid, is_looked_up: false, claim: None, alone: None }
    }
}

impl Standing {
    pub(super) fn new(footing: Footing) -> Self {
        Standing { footing, dealings: None }
    }

    fn question(&mut self, processor: &Processor, message: &Message) -> &mut Question {
        let dealings = self.dealings.get_or_insert_default();
        dealings.question.get_or_insert_with(|| Box::new(Question::about(processor, message)))
    }

    pub(super) fn stage(&self) -> &Stage {
        self.dealings.as_ref().map_or(&Stage::Trusted, |dealings| &dealings.stage)
    }

    /// `None` for the first one.
    pub(super) fn stage_mut(&mut self) -> Option<&mut Stage> {
        self.dealings.as_mut().map(|dealings| &mut dealings.stage)
    }

    pub(super) fn enter(&mut self, stage: Stage) {
        self.dealings.get_or_insert_default().stage = stage;
    }

    fn asked(&self) -> Option<&Question> {
        self.dealings.as_ref()?.question.as_deref()
    }

    fn asked_mut(&mut self) -> Option<&mut Question> {
        self.dealings.as_mut()?.question.as_deref_mut()
    }

    pub(super) fn bid(&mut self, processor: &Processor, message: &Message) -> &mut Bid {
        &mut self.question(processor, message).bid
    }

    /// For a run that has begun: there is nothing to be said about running it alone.
    pub(super) fn late_bid(&mut self, processor: &Processor, message: &Message) -> &Bid {
        let bid = self.bid(processor, message);
        (bid.look, bid.alone) = (false, true);
        bid
    }

    /// It runs as a suspect does, with no other one beside it.
    pub(super) fn run_alone(&mut self, alone: Option<Alone>, processor: &Processor, message: &Message) {
        let question = self.question(processor, message);
        question.alone = alone;
        question.bid.alone = true;
    }

    /// By then a delivery must have started.
    pub(super) fn by(&self) -> Instant {
        self.footing.since.instant() + START_LIMIT
    }

    /// Asks the result store for the right to run; `None` if it keeps no claims, or if there is no store.
    pub(super) async fn ask(
        &mut self,
        processor: &Processor,
        message: &Message,
    ) -> Result<Option<ClaimAnswer>, ResultError> {
        let Some(results) = processor.app.results() else { return Ok(None) };
        results.claim(self.bid(processor, message)).await
    }

    pub(super) fn hold(&mut self, claim: Claim, processor: &Processor, message: &Message) {
        self.question(processor, message).claim = Some(claim);
    }

    pub(super) fn has_footing(&self) -> bool {
        !self.footing.is_lost()
    }

    /// Whether the run began, or is to begin, so soon after its delivery that a copy of its message cannot.
    pub(super) fn is_trusted(&self) -> bool {
        self.footing.is_fresh() && self.has_footing()
    }

    pub(super) fn claim(&self) -> Option<&Claim> {
        self.asked()?.claim.as_ref()
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.claim().is_some()
    }

    /// Whether it is a suspect that runs with no other one beside it.
    pub(super) fn is_alone(&self) -> bool {
        self.asked().is_some_and(|asked| asked.alone.is_some())
    }

    /// Whether the store knows nothing of this run.
    pub(super) fn is_plain(&self) -> bool {
        !(self.is_marked() || self.is_claimed() || self.is_alone())
    }

    pub(super) fn is_marked(&self) -> bool {
        self.dealings.as_ref().is_some_and(|dealings| dealings.mark.is_some())
    }

    pub(super) fn into_footing(self) -> Footing {
        self.footing
    }

    /// Nobody else has the run, as far as can be known without a claim.
    pub(super) fn looked_up(&mut self, processor: &Processor, message: &Message) {
        self.question(processor, message).is_looked_up = true;
    }

    pub(super) fn is_looked_up(&self) -> bool {
        self.asked().is_some_and(|asked| asked.is_looked_up)
    }

    /// Whether it may begin without a claim: nobody else can have it, or nobody had when it was looked up, and its line holds.
    pub(super) fn is_firm(&self) -> bool {
        !self.footing.is_lost() && (self.is_looked_up() || self.footing.is_fresh())
    }

    /// Marks a run that needs no claim. Once it is marked, whoever has a copy of its message does not begin.
    pub(super) async fn leave_mark(
        &mut self,
        processor: &Processor,
        message: &Message,
    ) -> Result<(), Box<ResultError>> {
        if !self.is_marked() {
            let mark = mark(processor, message).await?;
            self.keep(mark);
        }
        Ok(())
    }

    pub(super) fn keep(&mut self, mark: Option<Mark>) {
        self.dealings.get_or_insert_default().mark = mark;
    }

    /// Whether what was decided may be carried out here without asking.
    pub(super) fn is_safe(&self) -> bool {
        !self.is_claimed() && !self.footing.is_lost()
    }

    /// Whether what was decided may be carried out here. Waits while the store cannot be asked.
    pub(super) async fn holds(&mut self, processor: &Processor, message: &Message) -> bool {
        let Some(claim) = self.claim() else {
            return !self.footing.is_lost() || self.claim_now(processor, message).await;
        };
        let mut patience = Patience::new(&processor.interrupt);
        loop {
            match claim.is_held().await {
                Ok(is_held) => return is_held,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "whether the run was lost is not known yet"
                    );
                    if !patience.pause().await {
                        return false;
                    }
                }
            }
        }
    }

    /// Claims a run that has begun. `false` if another worker has it.
    pub(super) async fn claim_now(&mut self, processor: &Processor, message: &Message) -> bool {
        // Whatever was known, or was being asked, before.
        self.enter(Stage::Trusted);
        match claim_begun(processor, self.late_bid(processor, message)).await {
            Ok(Some(claim)) => self.hold(claim, processor, message),
            Ok(None) => {}
            Err(Taken) => return false,
        }
        true
    }

    /// Its run is over: other suspects may go on.
    pub(super) fn make_room(&mut self) {
        if let Some(asked) = self.asked_mut() {
            asked.alone = None;
        }
    }

    /// Notes that what was decided has been carried out.
    pub(super) async fn carried_out(
        &mut self,
        processor: &Processor,
        message: &Message,
        ended: bool,
        ttl: Duration,
    ) -> Result<(), ResultError> {
        match processor.app.results() {
            Some(results) => results.carried_out(self.bid(processor, message), ended, ttl).await,
            None => Ok(()),
        }
    }

    pub(super) async fn give_back(&mut self) {
        let Some(claim) = self.asked_mut().and_then(|asked| asked.claim.take()) else { return };
        if let Err(error) = claim.give_back().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the claim was not given back; its lease ends");
        }
    }
}

/// What the result store keeps while a run goes on, if it keeps such.
pub(super) async fn mark(processor: &Processor, message: &Message) -> Result<Option<Mark>, Box<ResultError>> {
    match processor.app.results() {
        Some(results) => Ok(results.mark(&message.id).await?),
        None => Ok(None),
    }
}

/// Another worker has the run, or this one has to end before it knows.
pub(super) struct Taken;

/// Claims a run that has begun, if the store keeps claims. Waits while it cannot be asked.
pub(super) async fn claim_begun(processor: &Processor, bid: &Bid) -> Result<Option<Claim>, Taken> {
    let Some(results) = processor.app.results() else { return Ok(None) };
    let mut patience = Patience::new(&processor.interrupt);
    loop {
        match results.claim(bid).await {
            Ok(Some(ClaimAnswer::Run(claim))) => return Ok(Some(claim)),
            Ok(None) => return Ok(None),
            Ok(Some(answer)) => {
                tracing::warn!(?answer, "the run is another worker's by now; its outcome is not used");
                return Err(Taken);
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the run cannot be claimed yet");
                if !patience.pause().await {
                    return Err(Taken);
                }
            }
        }
    }
}
