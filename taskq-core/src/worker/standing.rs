//! The right of one run to go on and to be carried out.
//!
//! A healthy first delivery has it by itself: the broker gives it to nobody else. When its connection is lost it has to
//! claim it; a delivery that may have run before claims it before it begins. A run that goes on leaves a mark, by which a
//! copy of its message, sent after a lost confirm, learns of it.

use super::{patience::Patience, process::Processor, pulse, quarantine::Quarantined};
use crate::{
    claims::{Bid, Claim, ClaimAnswer, Mark, RunId},
    defaults::TRUST,
    id::TaskId,
    message::Message,
};
use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// What a delivery's right to run rests on before it is claimed: that the broker still counts on this process.
#[derive(Clone)]
pub(super) struct Footing {
    connection: Option<CancellationToken>,
    standstills: u64,
    since: Instant,
}

impl Footing {
    /// That of a delivery which has come just now, and which the broker has sent after that instant.
    pub(super) fn new(connection: Option<CancellationToken>, since: Instant) -> Self {
        Footing { connection, standstills: pulse::standstills(), since }
    }

    /// Until when no copy of the message can be running: whoever has one waits for longer before it begins.
    fn trusted_until(&self) -> Instant {
        self.since + TRUST
    }

    /// Whether no copy of the message can be running, while the broker counts on this process.
    fn is_fresh(&self) -> bool {
        Instant::now() < self.trusted_until()
    }

    /// Resolves when the connection is gone.
    async fn cut(&self) {
        match &self.connection {
            Some(connection) => connection.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Whether the broker may have given the message to somebody else.
    pub(super) fn is_lost(&self) -> bool {
        // A process that was stopped may not have noticed yet what became of its connections.
        self.connection.as_ref().is_some_and(CancellationToken::is_cancelled)
            || pulse::standstills() != self.standstills
    }
}

impl Default for Footing {
    /// That of a message which no connection brought.
    fn default() -> Self {
        Footing::new(None, Instant::now())
    }
}

/// What the right to begin a run without a claim rests on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// It came by a line that holds, and nobody else can have it.
    Firm,
    /// So much time has passed since it was sent that somebody may run a copy of its message.
    Unsure,
    /// The line by which it came is lost: it comes again.
    Lost,
}

/// The room that a suspect has to itself.
pub(super) struct Alone {
    pub(super) _turn: OwnedSemaphorePermit,
    pub(super) _quarantine: Option<Quarantined>,
}

pub(super) struct Standing<'a> {
    processor: &'a Processor,
    pub(super) bid: Bid,
    claim: Option<Claim>,
    /// Of a run that needs no claim.
    mark: Option<Mark>,
    footing: Footing,
    /// It was asked whether it may run, though its delivery was in no doubt: nobody had it.
    is_looked_up: bool,
    /// Held by a suspect, so that no other one runs beside it.
    pub(super) alone: Option<Alone>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(processor: &'a Processor, message: &Message, footing: Footing) -> Self {
        let mut bid = Bid::new(RunId::of(message), processor.nobody.clone());
        bid.check = message.check;
        bid.original = !message.republished && !message.check;
        Standing { processor, bid, claim: None, mark: None, footing, is_looked_up: false, alone: None }
    }

    /// Asks the result store for the right to run; `None` if it keeps no claims, or if there is no store.
    pub(super) async fn ask(&mut self) -> Result<Option<ClaimAnswer>, crate::ResultError> {
        let Some(results) = self.processor.app.results() else { return Ok(None) };
        if self.bid.owner.is_empty() {
            self.bid.owner = format!("{}/{}", self.processor.name, TaskId::new()).into();
        }
        results.claim(&self.bid).await
    }

    /// Says that the run begins, if it is a suspect's.
    pub(super) async fn begin(&self, claim: &Claim) -> Result<bool, crate::ResultError> {
        if self.alone.is_some() { claim.begin().await } else { Ok(true) }
    }

    pub(super) fn hold(&mut self, claim: Claim) {
        self.claim = Some(claim);
    }

    pub(super) fn has_footing(&self) -> bool {
        !self.footing.is_lost()
    }

    /// Whether the run began, or is to begin, so soon after its delivery that a copy of its message cannot.
    pub(super) fn is_trusted(&self) -> bool {
        self.footing.is_fresh() && self.has_footing()
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.claim.is_some()
    }

    /// Whether the store knows nothing of this run.
    pub(super) fn is_plain(&self) -> bool {
        self.claim.is_none() && self.mark.is_none() && self.alone.is_none()
    }

    pub(super) fn into_footing(self) -> Footing {
        self.footing
    }

    /// Nobody else has the run, as far as can be known without a claim.
    pub(super) fn looked_up(&mut self) {
        self.is_looked_up = true;
    }

    pub(super) fn is_looked_up(&self) -> bool {
        self.is_looked_up
    }

    /// What the right to begin without a claim rests on now.
    pub(super) fn ground(&self) -> Ground {
        match () {
            () if self.footing.is_lost() => Ground::Lost,
            () if self.is_looked_up || self.footing.is_fresh() => Ground::Firm,
            () => Ground::Unsure,
        }
    }

    /// Marks a run that needs no claim. Once it is marked, whoever has a copy of its message does not begin.
    pub(super) async fn leave_mark(&mut self) -> Result<(), crate::ResultError> {
        if let Some(results) = self.processor.app.results().filter(|_| self.mark.is_none()) {
            self.mark = results.mark(&self.bid.run.task).await?;
        }
        Ok(())
    }

    /// Resolves when another worker has the run, which must then end here. Cancel safe: what was asked for and not heard
    /// is asked for again.
    pub(super) async fn lost(&mut self) {
        if self.claim.is_none() {
            tokio::select! {
                biased;
                () = self.footing.cut() => {}
                () = sleep_until(self.footing.trusted_until()) => {}
            }
        }
        // Most runs do not come so far, and have no room for it.
        Box::pin(self.lost_later()).await;
    }

    /// The same, for a run that is claimed, that has lost its connection, or that goes on for longer than it is trusted to be
    /// the only one: such a one is marked.
    async fn lost_later(&mut self) {
        if self.claim.is_none() {
            let footing = self.footing.clone();
            tokio::select! {
                biased;
                () = footing.cut() => {}
                never = self.be_found() => match never {},
            }
            if !self.claim_now().await {
                return;
            }
        }
        match &self.claim {
            Some(claim) => claim.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Marks the run.
    async fn be_found(&mut self) -> Infallible {
        let mut patience = Patience::new(&self.processor.interrupt);
        while let Err(error) = self.leave_mark().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the run is not marked yet");
            if !patience.pause().await {
                break;
            }
        }
        std::future::pending().await
    }

    /// Whether what was decided may be carried out here without asking.
    pub(super) fn is_safe(&self) -> bool {
        self.claim.is_none() && !self.footing.is_lost()
    }

    /// Whether what was decided may be carried out here. Waits while the store cannot be asked.
    pub(super) async fn holds(&mut self) -> bool {
        let Some(claim) = &self.claim else {
            return !self.footing.is_lost() || self.claim_now().await;
        };
        let mut patience = Patience::new(&self.processor.interrupt);
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
    async fn claim_now(&mut self) -> bool {
        self.bid.look = false;
        // It has begun: there is nothing to be said about running it alone.
        self.bid.alone = true;
        let mut patience = Patience::new(&self.processor.interrupt);
        loop {
            match self.ask().await {
                Ok(Some(ClaimAnswer::Run(claim))) => {
                    self.hold(claim);
                    return true;
                }
                Ok(None) => return true,
                Ok(Some(answer)) => {
                    tracing::warn!(?answer, "the run is another worker's by now; its outcome is not used");
                    return false;
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the run cannot be claimed yet");
                    if !patience.pause().await {
                        return false;
                    }
                }
            }
        }
    }

    /// Notes that what was decided has been carried out.
    pub(super) async fn carried_out(&self, ended: bool, ttl: Duration) -> Result<(), crate::ResultError> {
        match self.processor.app.results() {
            Some(results) => results.carried_out(&self.bid, ended, ttl).await,
            None => Ok(()),
        }
    }

    pub(super) async fn give_back(self) {
        let Some(claim) = self.claim else { return };
        if let Err(error) = claim.give_back().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the claim was not given back; its lease ends");
        }
    }
}
