//! What watches over a run that waits, and over what is carried out after it: whether another worker has it by now.

use super::{
    alarms::Alarm,
    patience::Patience,
    process::Processor,
    standing::{Standing, Taken, claim_begun, mark},
};
use crate::{
    BoxFuture,
    claims::{Claim, Mark},
    clock::after,
    error::ResultError,
    message::Message,
};
use futures_util::FutureExt;
use std::{
    future::{pending, poll_fn},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{task::unconstrained, time::Instant};

/// The time before the end of its trust in which a run is marked.
const MARKED_WITHIN: Duration = Duration::from_secs(1);

/// How it is known that a run is this worker's.
#[derive(Default)]
pub(super) enum Stage {
    /// By its line, and because no copy of its message can be running so soon; by its line alone where there is no store.
    #[default]
    Trusted,
    /// The store is told.
    Marking(BoxFuture<'static, Option<Mark>>),
    /// By its line, and by its mark.
    Marked,
    /// The store is asked.
    Claiming(BoxFuture<'static, Result<Option<Claim>, Taken>>),
    /// By its claim, until that is lost.
    Claimed(BoxFuture<'static, ()>),
    /// There is no store that could know better.
    Unknowable,
    Lost,
}

impl Standing {
    /// Ready when another worker has the run. If not, the task is woken when there is something to see, and at `at`.
    pub(super) fn poll_lost(
        &mut self,
        processor: &Arc<Processor>,
        message: &Arc<Message>,
        (alarm, at): (&mut Alarm, Instant),
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            // First, so that nothing is missed that happens from now on.
            let look = self.looks_at(processor, message);
            alarm.set(&processor.alarms, look.map_or(at, |look| look.min(at)), cx.waker());
            let next = ready!(self.poll_next(processor, message, look, cx));
            let is_lost = matches!(next, Stage::Lost);
            self.enter(next);
            if is_lost {
                return Poll::Ready(());
            }
        }
    }

    /// When a run is no longer trusted by its time alone, if it can be marked.
    fn looks_at(&self, processor: &Processor, message: &Message) -> Option<Instant> {
        let can_be_marked = matches!(self.stage(), Stage::Trusted) && processor.app.results().is_some();
        can_be_marked.then(|| self.footing.trusted_until() - early(message))
    }

    fn poll_next(
        &mut self,
        processor: &Arc<Processor>,
        message: &Arc<Message>,
        look: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Stage> {
        let needs_claim = self.is_claimed() || self.footing.is_cut();
        match self.stage_mut() {
            None | Some(Stage::Trusted | Stage::Marking(_) | Stage::Marked) if needs_claim => {
                Poll::Ready(self.claiming(processor, message))
            }
            None | Some(Stage::Trusted) if look.is_some_and(|look| Instant::now() >= look) => {
                Poll::Ready(self.marking(processor, message))
            }
            None | Some(Stage::Trusted | Stage::Marked | Stage::Unknowable) => Poll::Pending,
            Some(Stage::Marking(marking)) => {
                let mark = ready!(marking.poll_unpin(cx));
                self.keep(mark);
                Poll::Ready(Stage::Marked)
            }
            Some(Stage::Claiming(claiming)) => {
                let claim = ready!(claiming.poll_unpin(cx));
                Poll::Ready(claim.map_or(Stage::Lost, |claim| self.claimed(claim, processor, message)))
            }
            Some(Stage::Claimed(lost)) => lost.poll_unpin(cx).map(|()| Stage::Lost),
            Some(Stage::Lost) => Poll::Ready(Stage::Lost),
        }
    }

    /// Has a run that goes on be found by those who have a copy of its message.
    fn marking(&self, processor: &Arc<Processor>, message: &Arc<Message>) -> Stage {
        match self.is_marked() {
            true => Stage::Marked,
            false => Stage::Marking(asked(be_found(processor.clone(), message.clone()))),
        }
    }

    /// Claims a run whose line is cut.
    fn claiming(&mut self, processor: &Arc<Processor>, message: &Arc<Message>) -> Stage {
        if let Some(claim) = self.claim() {
            return Stage::Claimed(asked(claim.ended()));
        }
        let (processor, bid) = (processor.clone(), self.late_bid(processor, message).clone());
        Stage::Claiming(asked(async move { claim_begun(&processor, &bid).await }))
    }

    fn claimed(&mut self, claim: Option<Claim>, processor: &Processor, message: &Message) -> Stage {
        let Some(claim) = claim else { return Stage::Unknowable };
        let lost = asked(claim.ended());
        self.hold(claim, processor, message);
        Stage::Claimed(lost)
    }

    /// Nobody hears any more what is being asked: it is asked again. A question that is kept and not gone on with may hold what
    /// others wait for.
    pub(super) fn stop_asking(&mut self) {
        if let Some(stage @ (Stage::Marking(_) | Stage::Claiming(_))) = self.stage_mut() {
            *stage = Stage::Trusted;
        }
    }

    /// Resolves when another worker has the run, which must then end here. Cancel safe: what was asked for and not heard
    /// is asked for again.
    pub(super) async fn lost(&mut self, processor: &Arc<Processor>, message: &Arc<Message>) {
        let never = after(Instant::now(), Duration::MAX);
        let mut lookout = Lookout { standing: self, processor, alarm: Alarm::default() };
        poll_fn(|cx| lookout.standing.poll_lost(processor, message, (&mut lookout.alarm, never), cx)).await;
    }
}

/// Leaves nothing behind when nobody looks out any more, however that came.
struct Lookout<'a> {
    standing: &'a mut Standing,
    processor: &'a Processor,
    alarm: Alarm,
}

impl Drop for Lookout<'_> {
    fn drop(&mut self) {
        self.alarm.end(&self.processor.alarms);
        self.standing.stop_asking();
    }
}

/// What came together need not be marked together: there may be tens of thousands.
fn early(message: &Message) -> Duration {
    let last = message.id.as_str().bytes().rev().take(8);
    let spread = last.fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    MARKED_WITHIN.mul_f64(f64::from(spread % 1024) / 1024.0)
}

/// Those who run may leave nothing of the turn that their runtime gave them.
fn asked<T>(question: impl Future<Output = T> + Send + 'static) -> BoxFuture<'static, T> {
    Box::pin(unconstrained(question))
}

async fn be_found(processor: Arc<Processor>, message: Arc<Message>) -> Option<Mark> {
    match mark(&processor, &message).await {
        Ok(mark) => mark,
        // Tens of thousands may be marked at a time, and have no room for this.
        Err(error) => Box::pin(be_found_at_length(&processor, &message, error)).await,
    }
}

async fn be_found_at_length(processor: &Processor, message: &Message, mut error: Box<ResultError>) -> Option<Mark> {
    let mut patience = Patience::new(&processor.interrupt);
    loop {
        tracing::debug!(error = &*error as &dyn std::error::Error, "the run is not marked yet");
        if !patience.pause().await {
            pending().await
        }
        match mark(processor, message).await {
            Ok(mark) => return mark,
            Err(again) => error = again,
        }
    }
}
