//! One run: the onion, with the handler under its time limit and panic guard at the core.
//!
//! What wraps a run here is built of combinators: an `async` block keeps what it was given beside what it has made of it, and
//! there may be tens of thousands of runs.

use super::{process::Processor, standing::Standing};
use crate::{
    BoxFuture, app::Current, clock::after, context::TaskContext, defaults::MIDDLEWARE_GRACE, middleware::Next,
    outcome::Outcome, panic, task::TaskDef,
};
use futures_util::FutureExt;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    task::{coop::Unconstrained, unconstrained},
    time::{Instant, Sleep, sleep_until},
};

impl Processor {
    pub(super) async fn execute(
        &self,
        def: &TaskDef,
        ctx: &TaskContext,
        standing: &mut Standing<'_>,
        began: Instant,
    ) -> Outcome {
        let limit = self.limit_of(&def.config);
        let handler = move |ctx: &TaskContext| handle(def, ctx, limit, Instant::now());
        let run = match self.app.middleware() {
            [] => handle(def, ctx, limit, began),
            // A middleware may hang or panic too.
            onion => {
                guarded(limit.saturating_add(MIDDLEWARE_GRACE), began, Next::new(onion, &handler).run(ctx)).boxed()
            }
        };
        let outcome = self.unless_stopped(Current::within_task(ctx, run), standing).await;
        if matches!(outcome, Outcome::TimedOut(_) | Outcome::Interrupted) {
            ctx.cancel();
        }
        outcome
    }

    /// The run's outcome, unless the worker must end or another one has the run. Most runs end at once: what watches over one
    /// is made when it has to wait.
    async fn unless_stopped(&self, run: impl Future<Output = Outcome>, standing: &mut Standing<'_>) -> Outcome {
        let mut run = pin!(run);
        let (mut standing, mut stopped) = (Some(standing), None);
        poll_fn(|cx| {
            // A run that is done has ended, whatever else happened at that moment.
            if let Poll::Ready(outcome) = run.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            if let Some(standing) = standing.take() {
                // A run may leave nothing of the turn that its runtime gave it.
                stopped = Some(Box::pin(unconstrained(self.stopped(standing))));
            }
            stopped.as_mut().map_or(Poll::Pending, |stopped| stopped.poll_unpin(cx)).map(|()| Outcome::Interrupted)
        })
        .await
    }

    /// Resolves when a run must end before it is done.
    async fn stopped(&self, standing: &mut Standing<'_>) {
        tokio::select! {
            () = self.interrupt.cancelled() => {}
            () = standing.lost() => {}
        }
    }
}

/// The task's own function.
fn handle<'a>(def: &TaskDef, ctx: &TaskContext, limit: Duration, began: Instant) -> BoxFuture<'a, Outcome> {
    let message = ctx.message();
    let body = (def.run)(ctx.clone(), message.content_type, message.body.clone());
    let cancel = ctx.clone();
    Box::pin(guarded(limit, began, body).inspect(move |outcome| {
        if matches!(outcome, Outcome::TimedOut(_)) {
            cancel.cancel();
        }
    }))
}

/// The body's outcome, within its limit, panics included.
fn guarded(
    limit: Duration,
    began: Instant,
    body: impl Future<Output = Outcome> + Unpin,
) -> impl Future<Output = Outcome> {
    Limited { body: panic::catch_async(body), end: after(began, limit), over: None }.map(move |ended| match ended {
        Some(Ok(outcome)) => outcome,
        Some(Err(panic)) => Outcome::Panicked(panic),
        None => Outcome::TimedOut(limit),
    })
}

/// What `body` gives, or `None` when it takes too long. Most bodies end when they are first polled, and have neither room nor
/// time for a timer.
struct Limited<F> {
    body: F,
    end: Instant,
    over: Option<Pin<Box<Unconstrained<Sleep>>>>,
}

impl<F: Future + Unpin> Future for Limited<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(done) = self.body.poll_unpin(cx) {
            return Poll::Ready(Some(done));
        }
        let end = self.end;
        // The timer is looked at even if the body leaves nothing of the turn that its runtime gave it.
        let over = self.over.get_or_insert_with(|| Box::pin(unconstrained(sleep_until(end))));
        over.as_mut().poll(cx).map(|()| None)
    }
}
