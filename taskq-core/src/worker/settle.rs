//! Carrying a verdict out: first what must be durable, then the word to the broker.
//!
//! Nothing before an ack is fire-and-forget. What fails is tried again; what keeps failing gives the delivery back.

use super::{
    patience::Patience,
    process::{Processor, Source},
    running::Seat,
    standing::{Footing, Standing},
};
use crate::{
    broker::{Origin, Publish},
    clock::UnixMillis,
    defaults::CLAIM_TTL,
    delivery::Settlement,
    error::ResultError,
    failure::TaskFailure,
    id::TaskId,
    message::{Content, Epitaph, Foreign, Message},
    observer::Event,
    outcome::{Verdict, WaitFor},
    record::{End, ResultRecord},
    spill,
    status::Step,
    task::TaskDef,
};
use std::{sync::Arc, time::Duration};

/// After so long without success a delivery is given back.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is being settled.
pub(super) enum Subject {
    Task(Arc<Message>, Option<TaskDef>),
    Foreign(Arc<Foreign>),
}

impl Subject {
    fn message(&self) -> Option<&Arc<Message>> {
        match self {
            Subject::Task(message, _) => Some(message),
            Subject::Foreign(_) => None,
        }
    }

    fn content(&self) -> Content {
        match self {
            Subject::Task(message, _) => Content::Task(message.clone()),
            Subject::Foreign(foreign) => Content::Foreign(foreign.clone()),
        }
    }

    fn def(&self) -> Option<&TaskDef> {
        match self {
            Subject::Task(_, def) => def.as_ref(),
            Subject::Foreign(_) => None,
        }
    }
}

/// A step that could not be made durable: the delivery goes back.
struct NotDurable;

/// One delivery on its way to its settlement.
pub(super) struct Settling<'a> {
    processor: &'a Processor,
    source: &'a Source,
    subject: Subject,
    seat: Seat,
    began: UnixMillis,
}

impl<'a> Settling<'a> {
    pub(super) fn new(processor: &'a Processor, source: &'a Source, subject: Subject, seat: Seat) -> Self {
        Settling { processor, source, subject, seat, began: UnixMillis::now() }
    }

    /// For `ack = "on_receive"`: whatever follows, the broker forgets the delivery.
    pub(super) fn ack_now(&mut self) {
        self.seat.ack_first();
    }

    /// `standing` is that of a run that took place.
    pub(super) async fn carry_out(mut self, verdict: Verdict, mut standing: Option<Standing<'_>>) {
        if matches!(verdict, Verdict::Wait { .. }) {
            // The message that is published is of the same run, and may be here before its confirm: acknowledged with this
            // one, it would be lost.
            self.seat.step_aside();
        }
        if cfg!(taskq_bug = "ack_before_result") && !matches!(verdict, Verdict::GiveBack) {
            self.seat.ack_first();
        }
        let note = note_of(&verdict, standing.as_ref());
        let carrying_out = self.make_durable(verdict);
        let carried_out = match &mut standing {
            None => carrying_out.await,
            // It may take long, and the message be with another worker before it is done.
            Some(standing) => tokio::select! {
                biased;
                carried_out = carrying_out => carried_out,
                () = standing.lost() => Err(NotDurable),
            },
        };
        let settlement = carried_out.unwrap_or(Settlement::Requeue);
        self.note(note.filter(|_| settlement == Settlement::Ack), standing).await;
        self.tell(settlement);
    }

    async fn make_durable(&self, verdict: Verdict) -> Result<Settlement, NotDurable> {
        match verdict {
            Verdict::Finish(end) => self.finish(end).await?,
            Verdict::DeadLetter(failure) => self.finish(End::Failed(failure)).await?,
            Verdict::Repeat(record) => self.follow(&record).await?,
            Verdict::Retry { delay, failure } => self.retry(delay, &failure).await?,
            Verdict::Wait { delay, until } => self.wait(delay, until).await?,
            Verdict::Forget => {}
            Verdict::GiveBack => return Ok(Settlement::Requeue),
        }
        Ok(Settlement::Ack)
    }

    /// Before the ack: what comes again after it was lost must find the note.
    async fn note(&self, note: Option<Note>, standing: Option<Standing<'_>>) {
        let Some(message) = self.subject.message() else { return };
        match (note, standing) {
            // A lost note costs less than what waits behind this one.
            (Some(_), _) if self.processor.store.is_away() => {}
            (Some(note), standing) => {
                let standing = standing.unwrap_or_else(|| Standing::new(self.processor, message, Footing::default()));
                let ttl = if note.ended { self.result_ttl() } else { CLAIM_TTL };
                standing.carried_out(note.ended, ttl).await;
            }
            (None, Some(standing)) => standing.give_back().await,
            (None, None) => {}
        }
    }

    fn result_ttl(&self) -> Duration {
        let config = self.subject.def().map(|def| &def.config);
        config.and_then(|config| config.result_ttl).unwrap_or(self.processor.app.result_ttl())
    }

    /// Records the end. If another run had recorded one first, that one counts, and what follows it is done.
    async fn finish(&self, end: End) -> Result<(), NotDurable> {
        let record = self.record(end);
        let earlier = self.store(&record).await?;
        self.follow(earlier.as_ref().unwrap_or(&record)).await
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
            queue: self.source.queue.to_string(),
            first_failed: first_failed.unwrap_or(record.finished),
            last_failed: record.finished,
        };
        let dead = self.source.spec.dead_letter_name();
        let letter = Publish::new(dead, self.subject.content()).epitaph(Some(epitaph));
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
            self.processor.track(message, step).await;
        }
        tracing::trace!(error = %failure, attempt = next.attempt, "the next attempt is published");
        let copy = Publish::new(&*self.source.queue, next).delay(Some(delay));
        self.publish(copy.origin(Origin::Worker)).await
    }

    /// Publishes the same attempt for later.
    async fn wait(&self, delay: Duration, until: WaitFor) -> Result<(), NotDurable> {
        let Some(message) = self.subject.message() else { return Ok(()) };
        let mut same = (**message).clone();
        // By which those who take it see that it was put off.
        same.eta.get_or_insert(UnixMillis::now() + delay);
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
        self.publish(Publish::new(&*self.source.queue, same).delay(Some(delay)).origin(origin)).await
    }

    fn record(&self, end: End) -> ResultRecord {
        let mut record = ResultRecord::new(end, "");
        record.worker = self.processor.name.clone();
        record.started = self.began;
        if let Some(message) = self.subject.message() {
            record.task = message.task.to_string();
            record.round = message.round;
            record.content_type = message.content_type;
            record.attempts = match &record.end {
                End::Failed(failure) | End::Discarded(failure) => failure.attempts,
                End::Done(_) => message.attempt,
                End::Cancelled | End::Expired => message.attempt.saturating_sub(1),
            };
        }
        record
    }

    /// Stores the record, trying again while the store is away. Gives an earlier record of this round, if there is one.
    async fn store(&self, record: &ResultRecord) -> Result<Option<ResultRecord>, NotDurable> {
        let config = self.subject.def().map(|def| &def.config);
        let content = self.subject.content();
        let (Some(results), Some(id), true) =
            (self.processor.app.results(), content.id(), config.is_none_or(|config| config.store_result))
        else {
            return Ok(None);
        };
        let (ttl, watch, limit) = (self.result_ttl(), &self.processor.store, self.processor.app.result_patience());
        let mut patience = Patience::new(&self.processor.interrupt);
        while watch.may_ask(limit) {
            match results.store(id, record, ttl).await {
                Ok(earlier) => {
                    watch.answered();
                    return Ok(earlier);
                }
                Err(ResultError::Decode { source, .. }) => {
                    watch.answered();
                    tracing::warn!(
                        error = &*source as &dyn std::error::Error,
                        "an earlier record is there, but cannot be read"
                    );
                    return Ok(None);
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the result is not stored yet");
                    if watch.failed(limit) {
                        break;
                    }
                    if !patience.pause().await {
                        return Err(NotDurable);
                    }
                }
            }
        }
        self.spill(id, record, ttl).await
    }

    /// Keeps a result that the store does not take in the task's own queue.
    async fn spill(
        &self,
        id: &TaskId,
        record: &ResultRecord,
        ttl: Duration,
    ) -> Result<Option<ResultRecord>, NotDurable> {
        tracing::warn!("the store has not taken results for long: this one is kept in the queue until it does");
        let message = spill::message(id, record, ttl).map_err(|error| {
            tracing::error!(error = &*error as &dyn std::error::Error, "the result cannot be kept");
            NotDurable
        })?;
        self.publish(Publish::new(&*self.source.queue, message).delay(Some(spill::REST)).origin(Origin::Worker))
            .await?;
        Ok(None)
    }

    /// Publishes with a confirm, trying again for a while.
    async fn publish(&self, publish: Publish) -> Result<(), NotDurable> {
        let mut patience = Patience::new(&self.processor.interrupt);
        loop {
            let Err(error) = self.processor.app.broker().publish(publish.clone()).await else { return Ok(()) };
            let queue = publish.queue.as_str();
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

    fn tell(self, settlement: Settlement) {
        self.seat.settle(settlement);
        if self.processor.app.is_observed() {
            let message = self.subject.message().map(|message| &**message);
            self.processor.app.observe(&Event::Settled { message, queue: &self.source.queue, settlement });
        }
    }
}

/// That a run was carried out.
struct Note {
    /// The task ended with it.
    ended: bool,
}

/// What is to be noted once the verdict is durable. A task that is done needs no note: its record says as much, and the
/// healthy path writes nothing else.
fn note_of(verdict: &Verdict, standing: Option<&Standing<'_>>) -> Option<Note> {
    let is_claimed = standing.is_some_and(Standing::is_claimed);
    match verdict {
        Verdict::Retry { .. } => Some(Note { ended: false }),
        Verdict::DeadLetter(_) => Some(Note { ended: true }),
        Verdict::Finish(_) if is_claimed => Some(Note { ended: true }),
        Verdict::Repeat(record) if matches!(record.end, End::Failed(_)) => Some(Note { ended: true }),
        Verdict::Finish(_) | Verdict::Repeat(_) | Verdict::Wait { .. } | Verdict::Forget | Verdict::GiveBack => None,
    }
}
