//! One run: the onion, with the handler under its time limit and panic guard at the core.

use super::{process::Processor, standing::Standing};
use crate::{
    BoxFuture, app::Current, context::TaskContext, defaults::MIDDLEWARE_GRACE, middleware::Next, outcome::Outcome,
    panic, task::TaskDef,
};
use std::{future::Future, time::Duration};

impl Processor {
    pub(super) async fn execute(&self, def: &TaskDef, ctx: &TaskContext, standing: &mut Standing<'_>) -> Outcome {
        let limit = self.limit_of(&def.config);
        let handler = |ctx: &TaskContext| -> BoxFuture<'_, Outcome> {
            let message = ctx.message();
            let body = (def.run)(ctx.clone(), message.content_type, message.body.clone());
            let cancel = ctx.clone();
            Box::pin(async move {
                let outcome = guarded(limit, body).await;
                if matches!(outcome, Outcome::TimedOut(_)) {
                    cancel.cancel();
                }
                outcome
            })
        };
        let run = async {
            match self.app.middleware() {
                [] => handler(ctx).await,
                // A middleware may hang or panic too.
                onion => guarded(limit.saturating_add(MIDDLEWARE_GRACE), Next::new(onion, &handler).run(ctx)).await,
            }
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
async fn guarded(limit: Duration, body: impl Future<Output = Outcome>) -> Outcome {
    match tokio::time::timeout(limit, panic::catch_async(body)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Outcome::Panicked(panic),
        Err(_) => Outcome::TimedOut(limit),
    }
}
