//! What must be durable before the word to the broker: the record of an end, its dead letter, the next attempt.

use super::{patience::Patience, settle::Settling, store::Stored};
use crate::{
    broker::{Origin, Publish},
    clock::UnixMillis,
    delivery::Settlement,
    failure::TaskFailure,
    message::Epitaph,
    outcome::{Verdict, WaitFor},
    record::{End, ResultRecord},
    spill,
    status::Step,
};
use std::time::Duration;

/// After so long without success a delivery is given back.
const PATIENCE: Duration = Duration::from_secs(300);

/// A step that could not be made durable: the delivery goes back.
pub(super) struct NotDurable;

/// What is left to do after the first try.
pub(super) enum Left {
    Verdict(Verdict),
    Store(Box<ResultRecord>),
    /// What follows an end that another run had recorded.
    Follow(Box<ResultRecord>),
}

impl Settling {
    pub(super) async fn make_durable(&self, left: Left) -> Result<Settlement, NotDurable> {
        match left {
            Left::Store(record) => self.store_and_follow(&record).await?,
            Left::Follow(record) => self.follow(&record).await?,
            Left::Verdict(Verdict::Finish(end)) => self.store_and_follow(&self.record(end)).await?,
            Left::Verdict(Verdict::DeadLetter(failure)) => {
                self.store_and_follow(&self.record(End::Failed(failure))).await?;
            }
            Left::Verdict(Verdict::Repeat(record)) => self.follow(&record).await?,
            Left::Verdict(Verdict::Retry { delay, failure }) => self.retry(delay, &failure).await?,
            Left::Verdict(Verdict::Wait { delay, until }) => self.wait(delay, until).await?,
            Left::Verdict(Verdict::Forget) => {}
            Left::Verdict(Verdict::GiveBack) => return Ok(Settlement::Requeue),
        }
        Ok(Settlement::Ack)
    }

    /// Records the end. If another run had recorded one first, that one counts, and what follows it is done.
    async fn store_and_follow(&self, record: &ResultRecord) -> Result<(), NotDurable> {
        let earlier = self.store(record).await?;
        self.follow(earlier.as_deref().unwrap_or(record)).await
    }

    /// What follows a recorded end: the dead letter of a failure. Doing it twice makes two letters of one id, doing it
    /// not at all would lose the message.
    async fn follow(&self, record: &ResultRecord) -> Result<(), NotDurable> {
        let End::Failed(failure) = &record.end else { return Ok(()) };
        // A later round's end is followed by that round's own message.
        if self.subject.message().is_some_and(|message| record.round > message.round) {
            return Ok(());
        }
        let first_failed = self.subject.message().and_then(|message| message.first_failed);
        let epitaph = Epitaph {
            failure: failure.clone(),
            queue: self.source().queue().to_owned(),
            first_failed: first_failed.unwrap_or(record.finished),
            last_failed: record.finished,
        };
        let dead = self.source().spec.dead_letter_name();
        let letter = Publish::new(dead, self.subject.content()).epitaph(Some(Box::new(epitaph)));
        self.publish(letter.origin(Origin::Worker)).await
    }

    /// Publishes the next attempt.
    async fn retry(&self, delay: Duration, failure: &TaskFailure) -> Result<(), NotDurable> {
        let Some(message) = self.subject.message() else { return Ok(()) };
        let now = UnixMillis::now();
        let mut next = (**message).clone();
        next.attempt = next.attempt.saturating_add(1);
        next.eta = Some(now + delay);
        next.first_failed.get_or_insert(now);
        next.republished = false;
        if message.track {
            let step = Step::Retrying { attempt: next.attempt, due: now + delay };
            self.processor().track(message, step).await;
        }
        tracing::trace!(error = %failure, attempt = next.attempt, "the next attempt is published");
        let copy = Publish::new(self.source().queue(), next).delay(Some(delay));
        self.publish(copy.origin(Origin::Worker)).await
    }

    /// Publishes the same attempt for later.
    async fn wait(&self, delay: Duration, until: WaitFor) -> Result<(), NotDurable> {
        let Some(message) = self.subject.message() else { return Ok(()) };
        let mut same = (**message).clone();
        let now = UnixMillis::now();
        // By which those who take it see that it was put off.
        let eta = *same.eta.get_or_insert(now + delay);
        let delay = delay.max(now.until(eta));
        if until == WaitFor::NewerWorker {
            same.unknown += 1;
            let (waits, known) = (same.unknown, self.subject.def().is_some());
            match known {
                true => tracing::warn!(waits, "the task waits for a worker that can read how it ended"),
                false => tracing::warn!(
                    waits,
                    "no task of this name is registered in this worker; is its crate named anywhere? add `use my_tasks as _;`"
                ),
            }
        }
        // What is left of a sender's own delay is kept to the tick, as the sender's was.
        let origin = if until == WaitFor::Eta { Origin::Task } else { Origin::Worker };
        self.publish(Publish::new(self.source().queue(), same).delay(Some(delay)).origin(origin)).await
    }

    /// Stores the record, trying again while the store is away. Gives an earlier record of this round, if there is one.
    async fn store(&self, record: &ResultRecord) -> Result<Option<Box<ResultRecord>>, NotDurable> {
        if !self.is_stored() {
            return Ok(None);
        }
        let limit = self.processor().app.result_patience();
        let mut patience = Patience::new(&self.processor().interrupt);
        loop {
            match self.store_once(record).await {
                Stored::Kept => return Ok(None),
                Stored::Earlier(earlier) => return Ok(Some(earlier)),
                Stored::NotYet if self.processor().store.is_away_for(limit) => return self.spill(record).await,
                Stored::NotYet if patience.pause().await => {}
                Stored::NotYet => return Err(NotDurable),
            }
        }
    }

    pub(super) async fn store_once(&self, record: &ResultRecord) -> Stored {
        let (watch, limit) = (&self.processor().store, self.processor().app.result_patience());
        let (Some(results), Some(id)) = (self.processor().app.results(), self.subject.id()) else {
            return Stored::Kept;
        };
        if !watch.may_ask(limit) {
            return Stored::NotYet;
        }
        self.processor().stored(results.store(id, record, self.result_ttl()).await)
    }

    /// Keeps a result that the store does not take in the task's own queue.
    async fn spill(&self, record: &ResultRecord) -> Result<Option<Box<ResultRecord>>, NotDurable> {
        let Some(id) = self.subject.id() else { return Ok(None) };
        tracing::warn!("the store has not taken results for long: this one is kept in the queue until it does");
        let message = spill::message(id, record, self.result_ttl()).map_err(|error| {
            tracing::error!(error = &*error as &dyn std::error::Error, "the result cannot be kept");
            NotDurable
        })?;
        self.publish(Publish::new(self.source().queue(), message).delay(Some(spill::REST)).origin(Origin::Worker))
            .await?;
        Ok(None)
    }

    /// Publishes with a confirm, trying again for a while.
    async fn publish(&self, publish: Publish) -> Result<(), NotDurable> {
        let mut patience = Patience::new(&self.processor().interrupt);
        loop {
            let Err(error) = self.processor().app.broker().publish(publish.clone()).await else { return Ok(()) };
            let queue = &*publish.queue;
            tracing::warn!(
                queue,
                error = &error as &dyn std::error::Error,
                "a message of the worker was not published"
            );
            if patience.elapsed() > PATIENCE || !patience.pause().await {
                return Err(NotDurable);
            }
        }
    }
}
