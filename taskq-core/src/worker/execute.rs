//! What a run consists of: the onion of middleware with the handler at its core, polled within its task and its panic guard.

use super::process::Processor;
use crate::{
    BoxFuture,
    app::Current,
    clock::bounded,
    context::TaskContext,
    defaults::MIDDLEWARE_GRACE,
    handler::BoxHandler,
    message::Message,
    middleware::Next,
    outcome::Outcome,
    panic::{self, Panic},
    task::TaskDef,
};
use futures_util::FutureExt;
use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{task::unconstrained, time::sleep};

/// One run's body. It is made, polled and dropped as the task that it belongs to, since all of that is code of the user.
pub(super) struct Body {
    ctx: TaskContext,
    handler: Option<BoxHandler>,
}

impl Body {
    /// Nothing of it happens before it is polled.
    pub(super) fn new(ctx: TaskContext) -> Self {
        Body { ctx, handler: None }
    }

    pub(super) fn message(&self) -> &Arc<Message> {
        self.ctx.message_arc()
    }

    /// How it ended, panics included. Not to be polled again then.
    pub(super) fn poll(
        &mut self,
        processor: &Arc<Processor>,
        def: &Arc<TaskDef>,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome> {
        let Body { ctx, handler } = self;
        let poll = || handler.get_or_insert_with(|| processor.handler(def, ctx)).as_mut().poll_in(ctx, cx);
        panic::catch(|| Current::within_task(ctx, poll)).unwrap_or_else(|panic| Poll::Ready(Outcome::Panicked(panic)))
    }

    /// Takes what is left of it away, and tells the task, if it was not done, that it has ended. Destructors may panic too.
    pub(super) fn end(&mut self, outcome: Outcome) -> Outcome {
        if matches!(outcome, Outcome::TimedOut(_) | Outcome::Interrupted) {
            self.ctx.cancel();
        }
        self.clear().map_or_else(Outcome::Panicked, |()| outcome)
    }

    fn clear(&mut self) -> Result<(), Panic> {
        match self.handler.take() {
            Some(handler) => panic::catch(|| Current::within_task(&self.ctx, || drop(handler))),
            None => Ok(()),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Err(panic) = self.clear() {
            tracing::error!(%panic, "a run that had ended panicked when it was dropped");
        }
    }
}

impl Processor {
    /// How long one run's body may take.
    pub(super) fn limit_of(&self, def: &TaskDef) -> Duration {
        match self.app.middleware() {
            [] => self.handlers_limit(def),
            // A middleware may hang too.
            _ => self.handlers_limit(def).saturating_add(MIDDLEWARE_GRACE),
        }
    }

    fn handlers_limit(&self, def: &TaskDef) -> Duration {
        def.config.timeout.unwrap_or(self.task_timeout)
    }

    fn handler(self: &Arc<Self>, def: &Arc<TaskDef>, ctx: &TaskContext) -> BoxHandler {
        match self.app.middleware() {
            [] => (def.call)(ctx),
            _ => Box::pin(within_middleware(self.clone(), def.clone(), ctx.clone())),
        }
    }
}

async fn within_middleware(processor: Arc<Processor>, def: Arc<TaskDef>, ctx: TaskContext) -> Outcome {
    let limit = processor.handlers_limit(&def);
    let handler = |ctx: &TaskContext| -> BoxFuture<'_, Outcome> { Box::pin(handle(&def, ctx.clone(), limit)) };
    Next::new(processor.app.middleware(), &handler).run(&ctx).await
}

/// The handler's outcome, within its own limit.
async fn handle(def: &TaskDef, ctx: TaskContext, limit: Duration) -> Outcome {
    let mut handler = None;
    let handled = poll_fn(|cx| handler.get_or_insert_with(|| (def.call)(&ctx)).as_mut().poll_in(&ctx, cx));
    let mut body = panic::catch_async(handled);
    // The timer is looked at even if the body leaves nothing of the turn that its runtime gave it.
    let mut over = pin!(unconstrained(sleep(bounded(limit))));
    let ended = poll_fn(|cx| match body.poll_unpin(cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    });
    match ended.await {
        Some(Ok(outcome)) => outcome,
        Some(Err(panic)) => Outcome::Panicked(panic),
        None => {
            ctx.cancel();
            Outcome::TimedOut(limit)
        }
    }
}
