//! One run, from its beginning to its verdict.

use super::{
    admit::Case,
    arrival::Arrival,
    execute::Body,
    logging::{around, log, within},
    process::{Next, Rest, RunSpan},
    running::Seat,
    settle::{Settling, Subject},
    slot::Slot,
    standing::Standing,
};
use crate::{
    clock::{Moment, Tick, after},
    context::{Place, TaskContext},
    observer::Event,
    outcome::{Outcome, Verdict},
    panic,
    retry::decide,
    task::{Ack, TaskDef},
};
use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tracing::{Instrument, Span};

/// A run that may begin, or has begun.
///
/// There may be tens of thousands of these: what few come to is boxed when they do.
pub(super) struct Run {
    // In the order in which they end where a runtime ends: the delivery goes back when nothing of its run is left.
    body: Body,
    standing: Standing,
    seat: Seat,
    slot: Slot,
    def: Arc<TaskDef>,
    span: Option<Box<Span>>,
    began: Option<Tick>,
}

impl Run {
    /// `blocking_slot` is that of a plain `fn`.
    pub(super) fn new(arrival: Arrival, def: Arc<TaskDef>, blocking_slot: Option<OwnedSemaphorePermit>) -> Self {
        let Arrival { message, standing, seat, slot, span, .. } = arrival;
        let ctx = TaskContext::new(seat.source().place.clone(), message, blocking_slot);
        Run { body: Body::new(ctx), standing, seat, slot, def, span, began: None }
    }

    /// Begins it here and now, right after it was admitted. What does not end at that is to go on.
    pub(super) fn begin(mut self, cx: &mut Context<'_>) -> Next {
        self.note_beginning();
        match self.in_span(|run| run.poll_body(cx)) {
            Poll::Ready(outcome) => self.end(outcome).into(),
            Poll::Pending => Next::Run(self),
        }
    }

    fn in_span<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let span = self.span.take();
        let result = within(span.as_deref(), || act(self));
        self.span = span;
        result
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.body.poll(&self.seat.source().processor, &self.def, cx)
    }

    /// Goes on until it is carried out, or begins, if nothing has happened meanwhile that speaks against it.
    pub(super) fn go_on(self) -> GoingOn {
        GoingOn::Run(self)
    }

    /// The run's outcome, unless it takes too long, the worker must end, or another one has the run.
    fn poll(&mut self, began: Instant, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.poll_body(cx) {
            // A run that is done has ended, whatever else happened at that moment.
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => self.stopped(began, cx).map_or(Poll::Pending, Poll::Ready),
        }
    }

    /// `None` while the run may go on. If it was stopped by the result store's panic, that is how it ended: it would run again at
    /// once, and without end.
    fn stopped(&mut self, began: Instant, cx: &mut Context<'_>) -> Option<Outcome> {
        let Run { body, standing, seat, def, .. } = self;
        let (processor, alarm) = seat.watched();
        let limit = processor.limit_of(def);
        let end = after(began, limit);
        let watched = panic::catch(|| standing.poll_lost(processor, body.message(), (alarm, end), cx).is_ready());
        match watched {
            _ if Instant::now() >= end => Some(Outcome::TimedOut(limit)),
            Err(panic) => Some(Outcome::Panicked(panic)),
            Ok(is_lost) => (is_lost || processor.interrupt.is_cancelled()).then_some(Outcome::Interrupted),
        }
    }

    /// When it began: now, if it has not yet and nothing has happened, since it was admitted, that speaks against it.
    fn began_here(&mut self) -> Option<Tick> {
        let processor = &self.seat.source().processor;
        if self.began.is_none() && processor.sees_nothing_against(self.body.message(), &self.standing) {
            self.note_beginning();
        }
        self.began
    }

    /// Asks about one that has waited for its turn too long, and begins it after that.
    async fn begin_late(mut self) {
        let Run { standing, seat, slot, body, def, span, .. } = &mut self;
        let mut case = Case { source: seat.source(), message: body.message(), config: &def.config, standing, slot };
        let span = span.as_deref().cloned().unwrap_or_else(Span::none);
        let may_begin = case.may_begin().instrument(span).await;
        if may_begin {
            self.note_beginning();
            return self.go_on().await;
        }
        if let Some(rest) = self.give_back() {
            rest.await;
        }
    }

    fn note_beginning(&mut self) {
        if self.def.config.ack == Ack::OnReceive {
            self.seat.ack_first();
        }
        let Place { app, queue } = &*self.seat.source().place;
        within(self.span.as_deref(), || {
            tracing::debug!("task started");
            if app.is_observed() {
                app.observe(&Event::Started { message: self.body.message(), queue });
            }
        });
        self.began = Some(Tick::now());
    }

    fn end(mut self, outcome: Outcome) -> Rest {
        // Before anything of the user's: nobody goes on with what is being asked.
        self.seat.end_alarm();
        self.standing.stop_asking();
        let span = self.span.take();
        let rest = within(span.as_deref(), || {
            let outcome = self.body.end(outcome);
            let now = Moment::now();
            let took =
                self.began.map_or(Duration::ZERO, |began| now.instant.saturating_duration_since(began.instant()));
            let verdict = self.decide(&outcome);
            log(&outcome, &verdict, took);
            let Place { app, queue } = &*self.seat.source().place;
            if app.is_observed() {
                let message = self.body.message();
                app.observe(&Event::Finished { message, queue, outcome: &outcome, verdict: &verdict, took });
            }
            self.settle(verdict, RunSpan { began: now.wall.before(took), ended: now.wall })
        });
        around(span.map(|span| *span), rest)
    }

    /// For one that may not begin any more.
    fn give_back(mut self) -> Rest {
        let span = self.span.take();
        let rest = within(span.as_deref(), || self.settle(Verdict::GiveBack, RunSpan::none()));
        around(span.map(|span| *span), rest)
    }

    /// Errors that are shown are code of the user too. A panic that came as far as here would run the task again at once, and
    /// without end.
    fn decide(&self, outcome: &Outcome) -> Verdict {
        let decide = |outcome: &Outcome| decide(outcome, self.body.message(), &self.def.config, fastrand::f64());
        panic::catch(|| decide(outcome)).unwrap_or_else(|panic| decide(&Outcome::Panicked(panic)))
    }

    fn settle(mut self, verdict: Verdict, span: RunSpan) -> Rest {
        self.slot.release();
        let Run { mut standing, seat, body, def, .. } = self;
        let message = body.message().clone();
        drop(body);
        let settling = Settling::new(Subject::Task(message.clone(), Some(def)), seat, span);
        if verdict == Verdict::GiveBack || standing.is_safe() {
            return settling.carry_out(verdict, Some(standing));
        }
        Some(Box::pin(async move {
            // An outcome that comes late must not overwrite what another worker makes of the same run.
            let is_ours = standing.holds(settling.processor(), &message).await;
            let verdict = if is_ours { verdict } else { Verdict::GiveBack };
            if let Some(rest) = settling.carry_out(verdict, Some(standing)) {
                rest.await;
            }
        }))
    }
}

/// A run until it is carried out. (A future by hand: an `async` one would keep places within the run beside it.)
pub(super) enum GoingOn {
    Run(Run),
    /// What is left to do about it.
    Rest(Rest),
}

impl Future for GoingOn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let GoingOn::Run(run) = &mut *self {
            let outcome = match run.began_here() {
                Some(began) => Some(ready!(run.in_span(|run| run.poll(began.instant(), cx)))),
                None => None,
            };
            if let GoingOn::Run(run) = mem::replace(&mut *self, GoingOn::Rest(None)) {
                *self = GoingOn::Rest(match outcome {
                    Some(outcome) => run.end(outcome),
                    None => Some(Box::pin(run.begin_late())),
                });
            }
        }
        match &mut *self {
            GoingOn::Rest(Some(rest)) => rest.as_mut().poll(cx),
            GoingOn::Rest(None) | GoingOn::Run(_) => Poll::Ready(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_waits_and_what_a_runtime_keeps_of_it_fit_256_bytes() {
        // tokio 1.54: 104 bytes of its own, all of it rounded up to 128; 8 more are the tracker's.
        assert!(size_of::<GoingOn>() + 8 + 104 <= 256, "{} bytes", size_of::<GoingOn>());
    }
}
