//! Carrying a verdict out: first what must be durable, then the word to the broker.
//!
//! Nothing before an ack is fire-and-forget. What fails is tried again; what keeps failing gives the delivery back.

use super::{
    durable::{Left, NotDurable},
    note::Note,
    process::{Processor, Rest, RunSpan, Source},
    running::Seat,
    standing::{Footing, Standing},
    store::Stored,
};
use crate::{
    delivery::Settlement,
    id::TaskId,
    message::{Content, Foreign, Message},
    observer::Event,
    outcome::Verdict,
    record::{End, ResultRecord},
    task::TaskDef,
};
use std::{sync::Arc, time::Duration};

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

    pub(super) fn id(&self) -> Option<&TaskId> {
        match self {
            Subject::Task(message, _) => Some(&message.id),
            Subject::Foreign(foreign) => foreign.id.as_ref(),
        }
    }

    pub(super) fn content(&self) -> Content {
        match self {
            Subject::Task(message, _) => Content::Task(message.clone()),
            Subject::Foreign(foreign) => Content::Foreign(foreign.clone()),
        }
    }

    pub(super) fn def(&self) -> Option<&TaskDef> {
        match self {
            Subject::Task(_, def) => def.as_deref(),
            Subject::Foreign(_) => None,
        }
    }
}

/// One delivery on its way to its settlement.
pub(super) struct Settling {
    pub(super) subject: Subject,
    pub(super) seat: Seat,
    pub(super) run: RunSpan,
}

impl Settling {
    pub(super) fn new(subject: Subject, seat: Seat, run: RunSpan) -> Self {
        Settling { subject, seat, run }
    }

    /// For what does not run.
    pub(super) fn not_run(subject: Subject, seat: Seat) -> Self {
        Settling::new(subject, seat, RunSpan::none())
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        self.seat.source()
    }

    pub(super) fn processor(&self) -> &Arc<Processor> {
        &self.source().processor
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
        if is_plain && !self.processor().store.is_away() && self.processor().endings.is_some() {
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
        let processor = self.processor().clone();
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
                () = standing.lost(self.processor(), message) => Err(NotDurable),
            },
            _ => carrying_out.await,
        };
        carried_out.unwrap_or(Settlement::Requeue)
    }

    pub(super) fn result_ttl(&self) -> Duration {
        let config = self.subject.def().map(|def| &def.config);
        config.and_then(|config| config.result_ttl).unwrap_or(self.processor().app.result_ttl())
    }

    pub(super) fn record(&self, end: End) -> ResultRecord {
        let RunSpan { began, ended } = self.run;
        let mut record = ResultRecord::by(self.processor().name.clone(), end, began, ended);
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
    pub(super) fn is_stored(&self) -> bool {
        let wants = self.subject.def().is_none_or(|def| def.config.store_result);
        wants && self.processor().app.results().is_some() && self.subject.id().is_some()
    }

    pub(super) fn tell(self, settlement: Settlement) {
        let observed = self.processor().app.is_observed().then(|| self.source().place.clone());
        self.seat.settle(settlement);
        if let Some(place) = observed {
            let message = self.subject.message().map(|message| &**message);
            place.app.observe(&Event::Settled { message, queue: &place.queue, settlement });
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
