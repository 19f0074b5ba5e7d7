//! What watches over a run that waits, and over what is carried out after it: whether another worker has it by now.

use super::{
    alarms::{Alarm, Alarms},
    patience::Patience,
    process::Processor,
    standing::{Footing, Standing},
};
use crate::{BoxFuture, clock::after, error::ResultError, message::Message};
use futures_util::FutureExt;
use std::{
    future::{pending, poll_fn},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{task::unconstrained, time::Instant};

/// The time before the end of its trust in which a run is marked.
const MARKED_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Watch<'a> {
    stage: Stage<'a>,
    alarm: Alarm<'a>,
}

/// How it is known that a run is this worker's.
enum Stage<'a> {
    /// By its line, and because no copy of its message can be running so soon.
    Trusted(&'a mut Standing),
    /// By its line, and by its mark.
    Marked(&'a mut Standing),
    /// The store is asked, or told.
    Asking(BoxFuture<'a, Stage<'a>>),
    /// There is no store that could know better.
    Unknowable,
    Lost,
}

impl<'a> Watch<'a> {
    pub(super) fn over(standing: &'a mut Standing, alarms: &'a Alarms) -> Self {
        Watch { stage: Stage::Trusted(standing), alarm: Alarm::of(alarms) }
    }

    /// Ready when another worker has the run. If not, the task is woken when there is something to see, and at `at`.
    pub(super) fn poll_lost(
        &mut self,
        processor: &Arc<Processor>,
        message: &Arc<Message>,
        at: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            // First, so that nothing is missed that happens from now on.
            let look = self.stage.looks_at(message);
            self.alarm.set(look.map_or(at, |look| look.min(at)), cx.waker());
            // Those who run may leave nothing of the turn that their runtime gave them.
            let ask =
                |standing| Stage::Asking(Box::pin(unconstrained(ask(standing, processor.clone(), message.clone()))));
            match std::mem::replace(&mut self.stage, Stage::Lost).advance(look, ask, cx) {
                Ok(changed) => self.stage = changed,
                Err(Stage::Lost) => return Poll::Ready(()),
                Err(unchanged) => {
                    self.stage = unchanged;
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<'a> Stage<'a> {
    /// When a run is no longer trusted by its time alone.
    fn looks_at(&self, message: &Message) -> Option<Instant> {
        match self {
            Stage::Trusted(standing) => Some(standing.footing.trusted_until() - early(message)),
            _ => None,
        }
    }

    /// The next stage, or the same as an error.
    fn advance(
        self,
        look: Option<Instant>,
        ask: impl FnOnce(&'a mut Standing) -> Stage<'a>,
        cx: &mut Context<'_>,
    ) -> Result<Self, Self> {
        match self {
            Stage::Trusted(standing) if needs_the_store(standing) || look.is_none_or(|look| Instant::now() >= look) => {
                Ok(ask(standing))
            }
            Stage::Marked(standing) if needs_the_store(standing) => Ok(ask(standing)),
            Stage::Asking(mut asking) => match asking.poll_unpin(cx) {
                Poll::Ready(stage) => Ok(stage),
                Poll::Pending => Err(Stage::Asking(asking)),
            },
            stage => Err(stage),
        }
    }
}

/// What came together need not be marked together: there may be tens of thousands.
fn early(message: &Message) -> Duration {
    let last = message.id.as_str().bytes().rev().take(8);
    let spread = last.fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    MARKED_WITHIN.mul_f64(f64::from(spread % 1024) / 1024.0)
}

/// Whether the line is not enough.
fn needs_the_store(standing: &Standing) -> bool {
    standing.is_claimed() || standing.footing.is_cut()
}

/// Has a run that goes on be found by those who have a copy of its message, or, when its line is cut, be claimed.
async fn ask<'a>(standing: &'a mut Standing, processor: Arc<Processor>, message: Arc<Message>) -> Stage<'a> {
    if !standing.is_claimed() {
        let footing = standing.footing.clone();
        tokio::select! {
            biased;
            () = cut(&footing) => {}
            () = be_found(standing, &processor, &message) => return Stage::Marked(standing),
        }
        // Most are asked about no further than this, and have no room for it.
        if !Box::pin(standing.claim_now(&processor, &message)).await {
            return Stage::Lost;
        }
    }
    match standing.claim() {
        Some(claim) => {
            claim.lost().await;
            Stage::Lost
        }
        None => Stage::Unknowable,
    }
}

/// Marks the run.
async fn be_found(standing: &mut Standing, processor: &Processor, message: &Message) {
    if let Err(error) = standing.leave_mark(processor, message).await {
        // Tens of thousands may be marked at a time, and have no room for this.
        Box::pin(be_found_at_length(standing, processor, message, error)).await;
    }
}

async fn be_found_at_length(
    standing: &mut Standing,
    processor: &Processor,
    message: &Message,
    mut error: Box<ResultError>,
) {
    let mut patience = Patience::new(&processor.interrupt);
    loop {
        tracing::debug!(error = &*error as &dyn std::error::Error, "the run is not marked yet");
        if !patience.pause().await {
            pending().await
        }
        match standing.leave_mark(processor, message).await {
            Ok(()) => return,
            Err(again) => error = again,
        }
    }
}

/// Resolves when the line is cut. Whoever is watched over is woken then.
async fn cut(footing: &Footing) {
    poll_fn(|_| if footing.is_cut() { Poll::Ready(()) } else { Poll::Pending }).await;
}

impl Standing {
    /// Resolves when another worker has the run, which must then end here. Cancel safe: what was asked for and not heard
    /// is asked for again.
    pub(super) async fn lost(&mut self, processor: &Arc<Processor>, message: &Arc<Message>) {
        let never = after(Instant::now(), Duration::MAX);
        let mut watch = Watch::over(self, &processor.alarms);
        poll_fn(|cx| watch.poll_lost(processor, message, never, cx)).await;
    }
}
