//! One run: the onion, with the handler under its time limit and panic guard at the core.
//!
//! What wraps a run here is built of combinators: an `async` block keeps what it was given beside what it has made of it, and
//! there may be tens of thousands of runs.

use super::{process::Processor, standing::Standing};
use crate::{
    BoxFuture, app::Current, context::TaskContext, defaults::MIDDLEWARE_GRACE, middleware::Next, outcome::Outcome,
    panic, task::TaskDef,
};
use futures_util::FutureExt;
use std::{future::Future, time::Duration};

impl Processor {
    pub(super) async fn execute(&self, def: &TaskDef, ctx: &TaskContext, standing: &mut Standing<'_>) -> Outcome {
        let limit = self.limit_of(&def.config);
        let handler = move |ctx: &TaskContext| -> BoxFuture<'_, Outcome> {
            let message = ctx.message();
            let body = (def.run)(ctx.clone(), message.content_type, message.body.clone());
            let cancel = ctx.clone();
            Box::pin(guarded(limit, body).inspect(move |outcome| {
                if matches!(outcome, Outcome::TimedOut(_)) {
                    cancel.cancel();
                }
            }))
        };
        let run = match self.app.middleware() {
            [] => handler(ctx),
            // A middleware may hang or panic too.
            onion => guarded(limit.saturating_add(MIDDLEWARE_GRACE), Next::new(onion, &handler).run(ctx)).boxed(),
        };
        let outcome = tokio::select! {
            // A run that is done has ended, whatever else happened at that moment.
            biased;
            outcome = Current::within_task(ctx, run) => outcome,
            () = self.interrupt.cancelled() => Outcome::Interrupted,
            () = standing.lost() => Outcome::Interrupted,
        };
        if matches!(outcome, Outcome::TimedOut(_) | Outcome::Interrupted) {
            ctx.cancel();
        }
        outcome
    }
}

/// The body's outcome, within its limit, panics included.
fn guarded(limit: Duration, body: impl Future<Output = Outcome>) -> impl Future<Output = Outcome> {
    tokio::time::timeout(limit, panic::catch_async(body)).map(move |ended| match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Outcome::Panicked(panic),
        Err(_) => Outcome::TimedOut(limit),
    })
}
