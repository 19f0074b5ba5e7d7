//! One run, from its beginning to its verdict.

use super::{
    admit::Case,
    arrival::Arrival,
    execute::Body,
    logging::{RunTrace, log},
    process::{Next, Processor, Rest, RunSpan, Source},
    running::Seat,
    settle::{Settling, Subject},
    slot::Slot,
    standing::Standing,
    watch::Watch,
};
use crate::{
    clock::{Moment, after},
    context::TaskContext,
    observer::Event,
    outcome::{Outcome, Verdict},
    panic,
    retry::decide,
    task::{Ack, TaskDef},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tracing::Instrument;

/// A run that may begin, or has begun.
///
/// There may be tens of thousands of these: what few come to is boxed when they do.
pub(super) struct Run {
    // In the order in which they end where a runtime ends: the delivery goes back when nothing of its run is left.
    body: Body,
    standing: Standing,
    seat: Seat,
    slot: Slot,
    of: Setting,
    began: Option<Instant>,
}

/// What a run is of, and where it runs.
struct Setting {
    processor: Arc<Processor>,
    source: Arc<Source>,
    def: Arc<TaskDef>,
    trace: RunTrace,
}

impl Run {
    /// `slot` is that of a plain `fn`.
    pub(super) fn new(arrival: Arrival, def: Arc<TaskDef>, slot: Option<OwnedSemaphorePermit>) -> Self {
        let Arrival { processor, source, message, standing, seat, slot: room, trace, .. } = arrival;
        let of = Setting { processor, source, def, trace };
        let ctx = TaskContext::new(of.processor.app.clone(), message, of.source.queue.clone(), slot);
        Run { of, standing, seat, slot: room, body: Body::new(ctx), began: None }
    }

    /// Begins it here and now, right after it was admitted. What does not end at that is to go on.
    pub(super) fn begin(mut self, cx: &mut Context<'_>) -> Next {
        self.note_beginning();
        let Run { of: Setting { processor, def, trace, .. }, body, .. } = &mut self;
        match trace.in_scope(|| body.poll(processor, def, cx)) {
            Poll::Ready(outcome) => self.end(outcome).into(),
            Poll::Pending => Next::Run(self),
        }
    }

    /// Goes on until it is carried out, or begins, if nothing has happened meanwhile that speaks against it.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would keep the run twice")]
    pub(super) fn go_on(mut self) -> impl Future<Output = ()> + Send {
        async move {
            // Nothing else is at hand where something is awaited, which would be room that all runs take.
            let may_begin = self.began.is_some() || self.is_beyond_question() || Box::pin(self.may_begin_late()).await;
            let rest = if may_begin {
                let outcome = self.wait().await;
                self.end(outcome)
            } else {
                self.give_back()
            };
            if let Some(rest) = rest {
                rest.await;
            }
        }
    }

    /// Whether nothing has happened, since it was admitted, that speaks against it.
    fn is_beyond_question(&self) -> bool {
        self.of.processor.sees_nothing_against(self.body.message(), &self.standing)
    }

    /// Asks about one that has waited for its turn too long.
    async fn may_begin_late(&mut self) -> bool {
        let Run { of: Setting { processor, source, def, trace }, standing, slot, body, .. } = self;
        let mut case = Case { processor, source, message: body.message(), config: &def.config, standing, slot };
        case.may_begin().instrument(trace.span()).await
    }

    fn wait(&mut self) -> Waiting<'_> {
        let began = self.began.unwrap_or_else(|| self.note_beginning());
        let Run { of, standing, body, .. } = self;
        Waiting { of, body, began, watch: Watch::over(standing, &of.processor.alarms) }
    }

    fn note_beginning(&mut self) -> Instant {
        let Setting { processor, source, def, trace } = &self.of;
        if def.config.ack == Ack::OnReceive {
            self.seat.ack_first();
        }
        trace.in_scope(|| {
            tracing::debug!("task started");
            if processor.app.is_observed() {
                processor.app.observe(&Event::Started { message: self.body.message(), queue: &source.queue });
            }
        });
        *self.began.insert(Instant::now())
    }

    fn end(mut self, outcome: Outcome) -> Rest {
        let trace = std::mem::take(&mut self.of.trace);
        let rest = trace.in_scope(|| {
            let outcome = self.body.end(outcome);
            let now = Moment::now();
            let took = self.began.map_or(Duration::ZERO, |began| now.instant.saturating_duration_since(began));
            let verdict = self.decide(&outcome);
            log(&outcome, &verdict, took);
            if self.of.processor.app.is_observed() {
                let (message, queue) = (&**self.body.message(), &*self.of.source.queue);
                let event = Event::Finished { message, queue, outcome: &outcome, verdict: &verdict, took };
                self.of.processor.app.observe(&event);
            }
            self.settle(verdict, RunSpan { began: now.wall.before(took), ended: now.wall })
        });
        trace.around(rest)
    }

    /// For one that may not begin any more.
    fn give_back(mut self) -> Rest {
        let trace = std::mem::take(&mut self.of.trace);
        let rest = trace.in_scope(|| self.settle(Verdict::GiveBack, RunSpan::none()));
        trace.around(rest)
    }

    /// Errors that are shown are code of the user too. A panic that came as far as here would run the task again at once, and
    /// without end.
    fn decide(&self, outcome: &Outcome) -> Verdict {
        let decide = |outcome: &Outcome| decide(outcome, self.body.message(), &self.of.def.config, fastrand::f64());
        panic::catch(|| decide(outcome)).unwrap_or_else(|panic| decide(&Outcome::Panicked(panic)))
    }

    fn settle(mut self, verdict: Verdict, span: RunSpan) -> Rest {
        self.slot.release();
        let Run { of: Setting { processor, source, def, .. }, mut standing, seat, body, .. } = self;
        let message = body.message().clone();
        drop(body);
        let settling = Settling::new(processor, source, Subject::Task(message.clone(), Some(def)), seat, span);
        if verdict == Verdict::GiveBack || standing.is_safe() {
            return settling.carry_out(verdict, Some(standing));
        }
        Some(Box::pin(async move {
            // An outcome that comes late must not overwrite what another worker makes of the same run.
            let is_ours = standing.holds(&settling.processor, &message).await;
            let verdict = if is_ours { verdict } else { Verdict::GiveBack };
            if let Some(rest) = settling.carry_out(verdict, Some(standing)) {
                rest.await;
            }
        }))
    }
}

/// A run that has not ended at once, and what watches over it.
struct Waiting<'a> {
    of: &'a Setting,
    body: &'a mut Body,
    began: Instant,
    watch: Watch<'a>,
}

impl Waiting<'_> {
    /// `None` while the run may go on. If it was stopped by the result store's panic, that is how it ended: it would run again at
    /// once, and without end.
    fn stopped(&mut self, cx: &mut Context<'_>) -> Option<Outcome> {
        let Waiting { of: Setting { processor, def, .. }, body, began, watch } = self;
        let limit = processor.limit_of(def);
        let end = after(*began, limit);
        let watched = panic::catch(|| watch.poll_lost(processor, body.message(), end, cx).is_ready());
        match watched {
            _ if Instant::now() >= end => Some(Outcome::TimedOut(limit)),
            Err(panic) => Some(Outcome::Panicked(panic)),
            Ok(is_lost) => (is_lost || processor.interrupt.is_cancelled()).then_some(Outcome::Interrupted),
        }
    }
}

/// The run's outcome, unless it takes too long, the worker must end, or another one has the run.
impl Future for Waiting<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Setting { processor, def, trace, .. } = self.of;
        trace.in_scope(|| match self.body.poll(processor, def, cx) {
            // A run that is done has ended, whatever else happened at that moment.
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => self.stopped(cx).map_or(Poll::Pending, Poll::Ready),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_given<R, F>(_: fn(R) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_run_that_waits_and_what_a_runtime_keeps_of_it_fit_384_bytes() {
        // tokio 1.54: 104 bytes of its own, all of it rounded up to 128; 8 more are the tracker's.
        assert!(size_of_given(Run::go_on) + 8 + 104 <= 384, "{} bytes", size_of_given(Run::go_on));
    }
}
