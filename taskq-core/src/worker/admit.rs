//! Whether a delivery may run.

use super::{
    doubt::Doubt,
    patience::Patience,
    process::{Processor, Source},
    slot::Slot,
    standing::{Alone, Standing},
};
use crate::{
    claims::{Claim, ClaimAnswer},
    clock::UnixMillis,
    defaults::{COPY_WAIT, SILENT_ENDS},
    error::{BoxError, ResultError},
    message::Message,
    record::ResultRecord,
    retry::Refusal,
    task::TaskConfig,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// How long a delivery waits in its slot for the store's answer.
const NO_ANSWER: Duration = Duration::from_secs(5);

/// A run that is to begin, and what may be asked about it.
pub(super) struct Case<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) message: &'a Message,
    pub(super) config: &'a TaskConfig,
    pub(super) standing: &'a mut Standing,
    pub(super) slot: &'a mut Slot,
}

impl<'a> Case<'a> {
    fn processor(&self) -> &'a Processor {
        &self.source.processor
    }

    /// Looks at times, and asks the result store about a delivery that may have run before. It must have started in time then.
    pub(super) async fn look_into(&mut self, doubt: Doubt) -> Result<(), Refusal> {
        // First of all: a run that is under way elsewhere neither expires nor waits here.
        if doubt != Doubt::None || !self.standing.is_trusted() {
            self.permit(doubt).await?;
            self.standing.looked_up(self.processor(), self.message);
        }
        let admitted = self.look_at_times(doubt).await;
        if admitted.is_err() {
            self.standing.give_back().await;
        }
        admitted
    }

    async fn look_at_times(&mut self, doubt: Doubt) -> Result<(), Refusal> {
        // It may have begun while the store was asked.
        if self.standing.is_looked_up() && !self.standing.is_alone() && self.processor().quarantine.is_on() {
            self.processor().wait_out(self.standing.by()).await?;
        }
        let is_early_copy = doubt == Doubt::Copy && self.processor().app.results().is_some();
        match out_of_time(self.message).or(is_early_copy.then_some(Refusal::Elsewhere(COPY_WAIT))) {
            None => Ok(()),
            Some(refusal) => Err(refusal),
        }
    }

    /// Whether a run that was admitted may begin after what it has waited for since. If not, its message is to come again.
    pub(super) async fn may_begin(&mut self) -> bool {
        // What is to follow is found out when it comes again.
        if out_of_time(self.message).is_some() {
            return false;
        }
        // It does not wait for the end of that: it holds what the one that runs alone may need.
        if !self.standing.is_alone() && self.processor().quarantine.is_on() {
            return false;
        }
        // Where its line is lost by now it asks, as those do that came behind it: they would overtake it if it was given back.
        if !self.standing.is_claimed() && !self.standing.is_firm() {
            if self.permit(Doubt::None).await.is_err() {
                return false;
            }
            self.standing.looked_up(self.processor(), self.message);
        }
        // The store's answer may have lain here for longer than the claim lasted, while this process stood still.
        if self.standing.is_claimed() {
            return self.standing.holds(self.processor(), self.message).await;
        }
        self.standing.is_firm()
    }

    /// Makes sure that the task neither has run nor is running, if it may have or may be. Waits while the store cannot be
    /// asked: nothing is run on a guess.
    async fn permit(&mut self, doubt: Doubt) -> Result<(), Refusal> {
        let (processor, message) = (self.processor(), self.message);
        let needs_no_claim = doubt == Doubt::None && self.standing.has_footing();
        // A store that is away has allowed no copy to begin.
        if needs_no_claim && processor.store.is_away() || cfg!(taskq_bug = "no_dedupe") {
            return Ok(());
        }
        if needs_no_claim {
            // Marked before it looks, while a copy is claimed before it looks for marks: one of the two sees the other.
            if self.standing.leave_mark(processor, message).await.is_err() {
                return Ok(());
            }
            self.standing.bid(processor, message).look = true;
        }
        let mut patience = Patience::new(&processor.interrupt);
        loop {
            match self.standing.ask(processor, message).await {
                Ok(None) => return self.look_up(doubt).await,
                Ok(Some(ClaimAnswer::Run(claim))) => match begin(&claim, self.standing.is_alone()).await {
                    Ok(true) => {
                        self.standing.hold(claim, processor, message);
                        return Ok(());
                    }
                    // It is asked for again.
                    Ok(false) => {}
                    Err(error) => wait_for_store(&error, &mut patience).await?,
                },
                Ok(Some(ClaimAnswer::Free)) => return Ok(()),
                Ok(Some(ClaimAnswer::Suspect { silent })) => self.isolate(silent).await?,
                Ok(Some(ClaimAnswer::Elsewhere { lease })) => return Err(Refusal::Elsewhere(lease)),
                Ok(Some(ClaimAnswer::Ended(record))) => return Err(Refusal::Ended(record)),
                Ok(Some(ClaimAnswer::CarriedOut)) => return Err(Refusal::CarriedOut),
                Ok(Some(ClaimAnswer::Poison { silent })) => return Err(Refusal::Poison(silent)),
                Err(ResultError::Decode { source, .. }) => return Err(unreadable(&source)),
                Err(_) if needs_no_claim => return Ok(()),
                Err(error) => wait_for_store(&error, &mut patience).await?,
            }
        }
    }

    /// Waits until no other suspect runs in this process, and, before its last chance, sees to it that nothing begins beside
    /// it. Its slot is free for others meanwhile.
    async fn isolate(&mut self, silent: u32) -> Result<(), Refusal> {
        tracing::warn!(
            "an earlier start of this run ended without a word; it runs again with no other such task beside it"
        );
        let (processor, slot, source) = (self.processor(), &mut *self.slot, self.source);
        slot.release();
        let alone = async {
            let turn = processor.suspects.clone().acquire_owned().await.ok();
            slot.regain(source).await;
            turn
        };
        let turn = processor.in_time(self.standing.by(), alone).await?;
        let quarantine = || (silent + 1 >= SILENT_ENDS).then(|| processor.quarantine.begin());
        let alone = turn.map(|turn| Alone { _turn: turn, _quarantine: quarantine() });
        self.standing.run_alone(alone, processor, self.message);
        Ok(())
    }

    /// For a store that keeps no claims: how this round of the task ended, if it did.
    async fn look_up(&mut self, doubt: Doubt) -> Result<(), Refusal> {
        let may_have_ended = self.config.store_result && doubt != Doubt::None;
        let Some(results) = self.processor().app.results().filter(|_| may_have_ended) else { return Ok(()) };
        let mut patience = Patience::new(&self.processor().interrupt);
        loop {
            match results.fetch(&self.message.id).await {
                Ok(record) => return ended(record.filter(|record| record.round >= self.message.round)),
                Err(ResultError::Decode { source, .. }) => return Err(unreadable(&source)),
                Err(error) => wait_for_store(&error, &mut patience).await?,
            }
        }
    }
}

impl Processor {
    /// Whether a run whose delivery is in no doubt may begin at this moment without anybody being asked.
    pub(super) fn sees_nothing_against(&self, message: &Message, standing: &Standing) -> bool {
        standing.is_trusted() && !self.quarantine.is_on() && out_of_time(message).is_none()
    }

    /// Waits until a run may begin here.
    pub(super) async fn wait_out(&self, by: Instant) -> Result<(), Refusal> {
        self.in_time(by, self.quarantine.over()).await
    }

    /// The room for a plain `fn`; `None` if there was none in time.
    pub(super) async fn blocking_slot(&self, by: Instant) -> Option<OwnedSemaphorePermit> {
        self.in_time(by, self.blocking.clone().acquire_owned()).await.ok()?.ok()
    }

    async fn in_time<T>(&self, by: Instant, waiting: impl Future<Output = T>) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            waited = waiting => Ok(waited),
            () = tokio::time::sleep_until(by) => Err(Refusal::NoTurn),
            () = self.interrupt.cancelled() => Err(Refusal::NoTurn),
        }
    }
}

/// Says that the run begins, if it is a suspect's.
async fn begin(claim: &Claim, is_suspect: bool) -> Result<bool, ResultError> {
    if is_suspect { claim.begin().await } else { Ok(true) }
}

async fn wait_for_store(error: &ResultError, patience: &mut Patience<'_>) -> Result<(), Refusal> {
    tracing::warn!(error = error as &dyn std::error::Error, "the result store cannot be asked; the task waits");
    // Its slot is for those who can run.
    if patience.elapsed() >= NO_ANSWER {
        return Err(Refusal::NoAnswer);
    }
    if patience.pause().await { Ok(()) } else { Err(Refusal::NoTurn) }
}

fn out_of_time(message: &Message) -> Option<Refusal> {
    if message.expires.is_none() && message.eta.is_none() {
        return None;
    }
    let now = UnixMillis::now();
    if message.expires.is_some_and(|expires| expires <= now) {
        return Some(Refusal::Expired);
    }
    message.eta.filter(|eta| *eta > now).map(Refusal::Early)
}

/// Somebody wrote it, so the task has ended; what follows is for a worker that can read it.
fn unreadable(source: &BoxError) -> Refusal {
    tracing::warn!(error = &**source as &dyn std::error::Error, "the recorded end of the task cannot be read");
    Refusal::UnreadableEnd
}

fn ended(record: Option<ResultRecord>) -> Result<(), Refusal> {
    record.map_or(Ok(()), |record| Err(Refusal::Ended(Box::new(record))))
}
