//! Publishing many messages in their order.

use super::{
    Publisher, check,
    job::{Job, Outcome},
    lane::Lane,
    reply::{Caller, Waiting},
};
use crate::{error, runtime::Runtime};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join, join_all},
};
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use taskq_core::{BrokerError, Publish};

/// A message that waits to be handed over, by its number among all.
struct Queued<'a> {
    number: usize,
    job: Box<Job>,
    lane: &'a Lane,
}

/// What kept a message from being handed over.
type Failed = (usize, BrokerError);

impl Publisher {
    /// Publishes in this order, and waits for all outcomes together.
    pub(crate) async fn publish_many(&self, publishes: Vec<Publish>, runtime: &Runtime) -> Vec<Outcome> {
        let (caller, mut admitted) = (Caller::default(), Vec::with_capacity(publishes.len()));
        let (mut queued, mut delayed) = (VecDeque::new(), Vec::new());
        for (number, publish) in publishes.into_iter().enumerate() {
            admitted.push(check(&publish).map(|()| {
                let lane = self.lane_of(&publish);
                let (job, waiting) = Job::new(publish, lane, &caller);
                let is_direct = job.due.is_none();
                // Behind one that waits for room it would overtake it.
                let is_behind = is_direct && !queued.is_empty();
                match if is_behind { Some(job) } else { self.admit_at_once(job, lane) } {
                    Some(job) if is_direct => queued.push_back(Queued { number, job, lane }),
                    Some(job) => delayed.push(self.admit_delayed(Queued { number, job, lane }, runtime)),
                    None => {}
                }
                waiting
            }));
        }
        if !(queued.is_empty() && delayed.is_empty()) {
            let (failed, delayed) = join(self.admit_in_order(queued, runtime).boxed(), join_all(delayed)).await;
            for (number, error) in failed.into_iter().chain(delayed.into_iter().flatten()) {
                admitted[number] = Err(error);
            }
        }
        outcomes_of(admitted, &self.lanes).await
    }

    /// Others are not held up by a delayed message whose queue has to be asked about.
    fn admit_delayed<'a>(&'a self, queued: Queued<'a>, runtime: &'a Runtime) -> BoxFuture<'a, Option<Failed>> {
        let Queued { number, job, lane } = queued;
        let admitting = self.admit_in_time(job, lane, runtime);
        admitting.map(move |admitted| admitted.err().map(|error| (number, error))).boxed()
    }

    /// Hands messages over one after the other, each when there is room for it. None waits for longer than its own time.
    async fn admit_in_order(&self, mut queued: VecDeque<Queued<'_>>, runtime: &Runtime) -> Vec<Failed> {
        let mut failed = Vec::new();
        while let Some(soonest) = queued.iter().map(|queued| queued.job.deadline).min() {
            let Some(error) = self.admit_until(soonest, &mut queued, runtime).await else { break };
            let now = Instant::now();
            let is_over = |queued: &Queued<'_>| queued.job.deadline <= now || matches!(error, BrokerError::Closed);
            let (over, waiting) = queued.into_iter().partition::<VecDeque<_>, _>(is_over);
            failed.extend(over.into_iter().map(|queued| (queued.number, error::again(&error))));
            queued = waiting;
        }
        failed
    }

    /// Hands over what there is room for until then, and says why it was not all.
    async fn admit_until(
        &self,
        deadline: Instant,
        queued: &mut VecDeque<Queued<'_>>,
        runtime: &Runtime,
    ) -> Option<BrokerError> {
        while let Some(first) = queued.front_mut() {
            if let Err(error) = self.rooms.give_by(deadline, &mut first.job, &self.lanes, runtime).await {
                return Some(error);
            }
            if let Some(Queued { job, lane, .. }) = queued.pop_front() {
                lane.submit(job);
            }
        }
        None
    }
}

/// Looks at what is said about any of them, by whichever lane.
async fn outcomes_of(admitted: Vec<Result<Waiting<'_>, BrokerError>>, lanes: &[Arc<Lane>]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(admitted.len());
    for waiting in admitted {
        outcomes.push(match waiting {
            Ok(mut waiting) => poll_fn(|cx| poll_among(&mut waiting, lanes, cx)).await,
            Err(error) => Err(error),
        });
    }
    outcomes
}

fn poll_among(waiting: &mut Waiting<'_>, lanes: &[Arc<Lane>], cx: &mut Context<'_>) -> Poll<Outcome> {
    loop {
        // It is there to be woken from here on.
        if let Poll::Ready(outcome) = waiting.poll_unpin(cx) {
            return Poll::Ready(outcome);
        }
        if lanes.iter().all(|lane| lane.wakes().is_empty()) {
            return Poll::Pending;
        }
        lanes.iter().for_each(|lane| lane.take_in());
    }
}
