//! Whether a delivery may run.

use super::{
    doubt::Doubt,
    patience::Patience,
    process::{Arrival, Processor},
    slot::Slot,
    standing::{Alone, Ground, Standing},
};
use crate::{
    claims::ClaimAnswer,
    clock::UnixMillis,
    defaults::{COPY_WAIT, SILENT_ENDS},
    error::{BoxError, ResultError},
    message::Message,
    record::ResultRecord,
    retry::Refusal,
    task::{TaskConfig, TaskDef},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a delivery waits in its slot for the store's answer.
const NO_ANSWER: Duration = Duration::from_secs(5);

pub(super) enum Admission<'a> {
    Run(Arc<Message>, &'a TaskDef, Standing<'a>),
    Refuse(Arc<Message>, Option<&'a TaskDef>, Refusal),
}

impl Processor {
    /// Looks at name and times, and asks the result store about a delivery that may have run before. It must have started `by`
    /// then.
    pub(super) async fn admit(&self, arrival: Arrival, slot: &mut Slot, by: Instant) -> Admission<'_> {
        let Arrival { mut message, doubt, footing } = arrival;
        if self.quarantine.is_on()
            && let Err(refusal) = Box::pin(self.wait_out(by)).await
        {
            let def = self.app.task(&message.task);
            return Admission::Refuse(message, def, refusal);
        }
        let Some(def) = self.app.task(&message.task) else {
            return Admission::Refuse(message, None, Refusal::UnknownTask);
        };
        // The worker's own attribute counts too: a sender may know no more than the task's name.
        if message.retry < def.config.retry {
            Arc::make_mut(&mut message).retry = def.config.retry;
        }
        let mut standing = Standing::new(self, &message, footing);
        if doubt != Doubt::None || !standing.is_trusted() {
            // Few are asked about, and the others have no room for it. First of all: a run that is under way elsewhere neither
            // expires nor waits here.
            let permitting = self.permit(&message, &def.config, doubt, &mut standing, slot, by);
            if let Err(refusal) = Box::pin(permitting).await {
                return Admission::Refuse(message, Some(def), refusal);
            }
            standing.looked_up();
            // It may have begun while that was asked.
            if standing.alone.is_none()
                && self.quarantine.is_on()
                && let Err(refusal) = Box::pin(self.wait_out(by)).await
            {
                Box::pin(standing.give_back()).await;
                return Admission::Refuse(message, Some(def), refusal);
            }
        }
        let is_early_copy = doubt == Doubt::Copy && self.app.results().is_some();
        match out_of_time(&message).or(is_early_copy.then_some(Refusal::Elsewhere(COPY_WAIT))) {
            None => Admission::Run(message, def, standing),
            Some(refusal) => {
                Box::pin(standing.give_back()).await;
                Admission::Refuse(message, Some(def), refusal)
            }
        }
    }

    /// Whether a run that was admitted may begin after what it has waited for since. If not, its message is to come again.
    pub(super) async fn may_begin(
        &self,
        message: &Message,
        def: &TaskDef,
        standing: &mut Standing<'_>,
        slot: &mut Slot,
        by: Instant,
    ) -> bool {
        // It does not wait for the end of that: it holds what the one that runs alone may need.
        if standing.alone.is_none() && self.quarantine.is_on() {
            return false;
        }
        // The store's answer may have lain here for longer than the claim lasted, while this process stood still.
        if standing.is_claimed() {
            return Box::pin(standing.holds()).await;
        }
        if standing.ground() == Ground::Unsure {
            let permitting = self.permit(message, &def.config, Doubt::None, standing, slot, by);
            if Box::pin(permitting).await.is_err() {
                return false;
            }
            standing.looked_up();
        }
        standing.ground() == Ground::Firm
    }

    /// Makes sure that the task neither has run nor is running, if it may have or may be. Waits while the store cannot be
    /// asked: nothing is run on a guess.
    async fn permit(
        &self,
        message: &Message,
        config: &TaskConfig,
        doubt: Doubt,
        standing: &mut Standing<'_>,
        slot: &mut Slot,
        by: Instant,
    ) -> Result<(), Refusal> {
        let needs_no_claim = doubt == Doubt::None && standing.has_footing();
        // A store that is away has allowed no copy to begin.
        if needs_no_claim && self.store.is_away() || cfg!(taskq_bug = "no_dedupe") {
            return Ok(());
        }
        if needs_no_claim {
            // Marked before it looks, while a copy is claimed before it looks for marks: one of the two sees the other.
            if standing.leave_mark().await.is_err() {
                return Ok(());
            }
            standing.bid.look = true;
        }
        let mut patience = Patience::new(&self.interrupt);
        loop {
            match standing.ask().await {
                Ok(None) => return self.look_up(message, config, doubt).await,
                Ok(Some(ClaimAnswer::Run(claim))) => match standing.begin(&claim).await {
                    Ok(true) => {
                        standing.hold(claim);
                        return Ok(());
                    }
                    // It is asked for again.
                    Ok(false) => {}
                    Err(error) => self.wait_for_store(&error, &mut patience).await?,
                },
                Ok(Some(ClaimAnswer::Free)) => return Ok(()),
                Ok(Some(ClaimAnswer::Suspect { silent })) => self.isolate(standing, silent, slot, by).await?,
                Ok(Some(ClaimAnswer::Elsewhere { lease })) => return Err(Refusal::Elsewhere(lease)),
                Ok(Some(ClaimAnswer::Ended(record))) => return Err(Refusal::Ended(record)),
                Ok(Some(ClaimAnswer::CarriedOut)) => return Err(Refusal::CarriedOut),
                Ok(Some(ClaimAnswer::Poison { silent })) => return Err(Refusal::Poison(silent)),
                Err(ResultError::Decode { source, .. }) => return Err(unreadable(&source)),
                Err(_) if needs_no_claim => return Ok(()),
                Err(error) => self.wait_for_store(&error, &mut patience).await?,
            }
        }
    }

    /// Waits until no other suspect runs in this process, and, before its last chance, sees to it that nothing begins beside
    /// it. Its slot is free for others meanwhile.
    async fn isolate(
        &self,
        standing: &mut Standing<'_>,
        silent: u32,
        slot: &mut Slot,
        by: Instant,
    ) -> Result<(), Refusal> {
        tracing::warn!(
            "an earlier start of this run ended without a word; it runs again with no other such task beside it"
        );
        slot.release();
        let alone = async {
            let turn = self.suspects.clone().acquire_owned().await.ok();
            slot.regain().await;
            turn
        };
        let turn = self.in_time(by, alone).await?;
        let quarantine = || (silent + 1 >= SILENT_ENDS).then(|| self.quarantine.begin());
        standing.alone = turn.map(|turn| Alone { _turn: turn, _quarantine: quarantine() });
        standing.bid.alone = true;
        Ok(())
    }

    /// Waits until a run may begin here.
    async fn wait_out(&self, by: Instant) -> Result<(), Refusal> {
        self.in_time(by, self.quarantine.over()).await
    }

    async fn in_time<T>(&self, by: Instant, waiting: impl Future<Output = T>) -> Result<T, Refusal> {
        tokio::select! {
            waited = waiting => Ok(waited),
            () = tokio::time::sleep_until(by) => Err(Refusal::NoTurn),
            () = self.interrupt.cancelled() => Err(Refusal::NoTurn),
        }
    }

    /// For a store that keeps no claims: how this round of the task ended, if it did.
    async fn look_up(&self, message: &Message, config: &TaskConfig, doubt: Doubt) -> Result<(), Refusal> {
        let may_have_ended = config.store_result && doubt != Doubt::None;
        let Some(results) = self.app.results().filter(|_| may_have_ended) else { return Ok(()) };
        let mut patience = Patience::new(&self.interrupt);
        loop {
            match results.fetch(&message.id).await {
                Ok(record) => return ended(record.filter(|record| record.round >= message.round)),
                Err(ResultError::Decode { source, .. }) => return Err(unreadable(&source)),
                Err(error) => self.wait_for_store(&error, &mut patience).await?,
            }
        }
    }

    async fn wait_for_store(&self, error: &ResultError, patience: &mut Patience<'_>) -> Result<(), Refusal> {
        tracing::warn!(error = error as &dyn std::error::Error, "the result store cannot be asked; the task waits");
        // Its slot is for those who can run.
        if patience.elapsed() >= NO_ANSWER {
            return Err(Refusal::NoAnswer);
        }
        if patience.pause().await { Ok(()) } else { Err(Refusal::NoTurn) }
    }
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
