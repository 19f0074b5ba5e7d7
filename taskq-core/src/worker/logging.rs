//! What is logged of a run: its span, and one line about its end.

use super::process::Rest;
use crate::{
    BoxFuture,
    message::Message,
    outcome::{Outcome, Verdict},
    record::End,
};
use std::time::Duration;
use tracing::{Instrument, Span};

/// A run's span, if anybody listens. Boxed: there may be tens of thousands of runs.
pub(super) fn span_of(message: &Message, queue: &str) -> Option<Box<Span>> {
    let span = tracing::info_span!(
        "task",
        task.id = %message.id,
        task.name = %message.task,
        queue,
        attempt = message.attempt,
        trace_id = message.traceparent.map(|trace| trace.trace_id()),
    );
    (!span.is_disabled()).then(|| Box::new(span))
}

/// Within it, if there is one.
pub(super) fn within<R>(span: Option<&Span>, body: impl FnOnce() -> R) -> R {
    match span {
        Some(span) => span.in_scope(body),
        None => body(),
    }
}

/// What is left to do, within it.
pub(super) fn around(span: Option<Span>, rest: Rest) -> Rest {
    match span {
        Some(span) => rest.map(|rest| -> BoxFuture<'static, ()> { Box::pin(rest.instrument(span)) }),
        None => rest,
    }
}

/// One line per run, at the level that fits.
pub(super) fn log(outcome: &Outcome, verdict: &Verdict, took: Duration) {
    match verdict {
        Verdict::Finish(End::Done(_)) => tracing::info!(?took, "task done"),
        Verdict::Finish(End::Discarded(failure)) => tracing::warn!(?took, error = %failure, "task discarded"),
        Verdict::Retry { delay, failure } => {
            tracing::warn!(?took, error = %failure, retry_in = ?delay, "task failed; it will run again");
        }
        Verdict::DeadLetter(failure) => tracing::error!(?took, error = %failure, "task failed for good"),
        Verdict::GiveBack => tracing::info!(?took, "task interrupted; it is given back"),
        Verdict::Finish(_) | Verdict::Wait { .. } | Verdict::Repeat(_) | Verdict::Forget => {
            tracing::debug!(?took, ?outcome, "task ended")
        }
    }
}
