//! Carrying a verdict out: first what must be durable, then the word to the broker.
//!
//! Nothing before an ack is fire-and-forget. What fails is tried again; what keeps failing gives the delivery back.

use super::{
    note::Note,
    patience::Patience,
    process::{Processor, Rest, RunSpan, Source},
    running::Seat,
    standing::{Footing, Standing},
    store::Stored,
};
use crate::{
    broker::{Origin, Publish},
    clock::UnixMillis,
    delivery::Settlement,
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
    Task(Arc<Message>, Option<Arc<TaskDef>>),
    Foreign(Arc<Foreign>),
}

impl Subject {
    pub(super) fn message(&self) -> Option<&Arc<Message>> {
        match self {
            Subject::Task(message, _) => Some(message),
            Subject::Foreign(_) => None,
        }
    }

    fn id(&self) -> Option<&TaskId> {
        match self {
            Subject::Task(message, _) => Some(&message.id),
            Subject::Foreign(foreign) => foreign.id.as_ref(),
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
            Subject::Task(_, def) => def.as_deref(),
            Subject::Foreign(_) => None,
        }
    }
}

/// A step that could not be made durable: the delivery goes back.
struct NotDurable;

/// What is left to do after the first try.
enum Left {
    Verdict(Verdict),
    Store(Box<ResultRecord>),
    /// What follows an end that another run had recorded.
    Follow(Box<ResultRecord>),
}

/// One delivery on its way to its settlement.
pub(super) struct Settling {
    pub(super) processor: Arc<Processor>,
    pub(super) source: Arc<Source>,
    pub(super) subject: Subject,
    pub(super) seat: Seat,
    pub(super) run: RunSpan,
}

impl Settling {
    pub(super) fn new(
        processor: Arc<Processor>,
        source: Arc<Source>,
        subject: Subject,
        seat: Seat,
        run: RunSpan,
    ) -> Self {
        Settling { processor, source, subject, seat, run }
    }

    /// For what does not run.
    pub(super) fn not_run(processor: Arc<Processor>, source: Arc<Source>, subject: Subject, seat: Seat) -> Self {
        Settling::new(processor, source, subject, seat, RunSpan::none())
    }

    /// `standing` is that of a run that took place. What nearly all runs come to is done, or handed over, when this returns.
    pub(super) fn carry_out(mut self, verdict: Verdict, standing: Option<Standing>) -> Rest {
        if matches!(verdict, Verdict::Wait { .. }) {
            // The message that is published is of the same run, and may be here before its confirm: acknowledged with this
            // one, it would be lost.
            self.seat.step_aside();
        }
        if cfg!(taskq_bug = "ack_before_result") && !matches!(verdict, Verdict::GiveBack) {
            self.seat.ack_first();
        }
        let is_plain = is_plain_end(&verdict, standing.as_ref());
        if is_plain && !self.is_stored() {
            self.tell(Settlement::Ack);
            return None;
        }
        if is_plain && !self.processor.store.is_away() && self.processor.endings.is_some() {
            self.hand_over(verdict, standing);
            return None;
        }
        Some(Box::pin(self.carry_out_alone(verdict, standing)))
    }

    async fn carry_out_alone(self, verdict: Verdict, mut standing: Option<Standing>) {
        let note = Note::of(&verdict, standing.as_ref());
        let settlement = match self.finish_at_once(verdict).await {
            Ok(()) => Settlement::Ack,
            // Few come so far, and the others have no room for it.
            Err(left) => Box::pin(self.carry_out_at_length(left, &mut standing)).await,
        };
        self.conclude(settlement, note, standing).await;
    }

    fn hand_over(self, verdict: Verdict, standing: Option<Standing>) {
        let (Verdict::Finish(end), Some(footing)) = (verdict, standing.map(Standing::into_footing)) else { return };
        let Some(id) = self.subject.id().cloned() else { return };
        let keep = (id, self.record(end), self.result_ttl());
        let processor = self.processor.clone();
        if let Some(endings) = &processor.endings {
            endings.hand_over(self, footing, keep);
        }
    }

    /// What is left to do about an end that was handed over.
    pub(super) async fn carry_out_stored(self, record: Box<ResultRecord>, stored: Stored, footing: Footing) {
        let left = match stored {
            Stored::Kept => return self.tell(Settlement::Ack),
            Stored::Earlier(earlier) => Left::Follow(earlier),
            Stored::NotYet => Left::Store(record),
        };
        let mut standing = Some(Standing::new(footing));
        let settlement = self.carry_out_at_length(left, &mut standing).await;
        self.conclude(settlement, None, standing).await;
    }

    async fn conclude(self, settlement: Settlement, note: Option<Note>, standing: Option<Standing>) {
        if note.is_some() || standing.as_ref().is_some_and(Standing::is_claimed) {
            Box::pin(self.note(note.filter(|_| settlement == Settlement::Ack), standing)).await;
        }
        self.tell(settlement);
    }

    /// An end that nothing follows, and that the store takes when it is first asked. Gives back what is left to do.
    async fn finish_at_once(&self, verdict: Verdict) -> Result<(), Left> {
        let end = match verdict {
            Verdict::Finish(End::Failed(_)) => return Err(Left::Verdict(verdict)),
            Verdict::Finish(_) if !self.is_stored() => return Ok(()),
            Verdict::Finish(end) => end,
            Verdict::Forget => return Ok(()),
            verdict => return Err(Left::Verdict(verdict)),
        };
        let record = Box::new(self.record(end));
        match self.store_once(&record).await {
            Stored::Kept => Ok(()),
            Stored::Earlier(earlier) => Err(Left::Follow(earlier)),
            Stored::NotYet => Err(Left::Store(record)),
        }
    }

    /// The rest, for as long as the run is this worker's: it may take long, and the message be with another one before it is
    /// done.
    async fn carry_out_at_length(&self, left: Left, standing: &mut Option<Standing>) -> Settlement {
        let carrying_out = self.make_durable(left);
        let carried_out = match (standing, self.subject.message()) {
            (Some(standing), Some(message)) => tokio::select! {
                biased;
                carried_out = carrying_out => carried_out,
                () = standing.lost(&self.processor, message) => Err(NotDurable),
            },
            _ => carrying_out.await,
        };
        carried_out.unwrap_or(Settlement::Requeue)
    }

    async fn make_durable(&self, left: Left) -> Result<Settlement, NotDurable> {
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

    pub(super) fn result_ttl(&self) -> Duration {
        let config = self.subject.def().map(|def| &def.config);
        config.and_then(|config| config.result_ttl).unwrap_or(self.processor.app.result_ttl())
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
            queue: self.source.queue.to_string(),
            first_failed: first_failed.unwrap_or(record.finished),
            last_failed: record.finished,
        };
        let dead = self.source.spec.dead_letter_name();
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
        self.publish(Publish::new(&*self.source.queue, same).delay(Some(delay)).origin(origin)).await
    }

    fn record(&self, end: End) -> ResultRecord {
        let RunSpan { began, ended } = self.run;
        let mut record = ResultRecord::by(self.processor.name.clone(), end, began, ended);
        if let Some(message) = self.subject.message() {
            record.task = self.subject.def().map_or_else(|| message.task.clone(), |def| def.name.into());
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

    /// Whether the end is recorded at all.
    fn is_stored(&self) -> bool {
        let wants = self.subject.def().is_none_or(|def| def.config.store_result);
        wants && self.processor.app.results().is_some() && self.subject.id().is_some()
    }

    /// Stores the record, trying again while the store is away. Gives an earlier record of this round, if there is one.
    async fn store(&self, record: &ResultRecord) -> Result<Option<Box<ResultRecord>>, NotDurable> {
        if !self.is_stored() {
            return Ok(None);
        }
        let limit = self.processor.app.result_patience();
        let mut patience = Patience::new(&self.processor.interrupt);
        loop {
            match self.store_once(record).await {
                Stored::Kept => return Ok(None),
                Stored::Earlier(earlier) => return Ok(Some(earlier)),
                Stored::NotYet if self.processor.store.is_away_for(limit) => return self.spill(record).await,
                Stored::NotYet if patience.pause().await => {}
                Stored::NotYet => return Err(NotDurable),
            }
        }
    }

    async fn store_once(&self, record: &ResultRecord) -> Stored {
        let (watch, limit) = (&self.processor.store, self.processor.app.result_patience());
        let (Some(results), Some(id)) = (self.processor.app.results(), self.subject.id()) else { return Stored::Kept };
        if !watch.may_ask(limit) {
            return Stored::NotYet;
        }
        self.processor.stored(results.store(id, record, self.result_ttl()).await)
    }

    /// Keeps a result that the store does not take in the task's own queue.
    async fn spill(&self, record: &ResultRecord) -> Result<Option<Box<ResultRecord>>, NotDurable> {
        let Some(id) = self.subject.id() else { return Ok(None) };
        tracing::warn!("the store has not taken results for long: this one is kept in the queue until it does");
        let message = spill::message(id, record, self.result_ttl()).map_err(|error| {
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

    pub(super) fn tell(self, settlement: Settlement) {
        self.seat.settle(settlement);
        if self.processor.app.is_observed() {
            let message = self.subject.message().map(|message| &**message);
            self.processor.app.observe(&Event::Settled { message, queue: &self.source.queue, settlement });
        }
    }
}

/// Whether it is an end that nothing follows, of a run that the store knows nothing of.
fn is_plain_end(verdict: &Verdict, standing: Option<&Standing>) -> bool {
    match verdict {
        Verdict::Finish(End::Failed(_)) => false,
        Verdict::Finish(_) => standing.is_some_and(Standing::is_plain),
        _ => false,
    }
}
