//! Keeps one queue subscribed: over reconnects, closed channels, and queues that come and go.

use super::{
    Source,
    epoch::{End, Epoch, Keep},
    intake::{Feed, Intake},
};
use crate::{
    declared::Declared,
    error,
    link::{Link, Patience},
    session::Session,
    strays::Strays,
    topology,
};
use std::{num::NonZeroU16, sync::Arc, time::Duration};
use taskq_core::{BrokerError, Consumer};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A server that has let us in before and refuses us now is asked again this often.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// What subscriptions are made with.
#[derive(Clone)]
pub(crate) struct Subscriber {
    pub(crate) link: Link,
    pub(crate) declared: Arc<Declared>,
    pub(crate) strays: Arc<Strays>,
    /// All subscriptions, so that closing can wait for them.
    pub(crate) running: TaskTracker,
    pub(crate) closing: CancellationToken,
}

/// Subscribes to a queue. Must run inside the broker's runtime; `keep` keeps it alive.
pub(crate) async fn subscribe(
    subscriber: Subscriber,
    queue: String,
    prefetch: NonZeroU16,
    patience: Patience,
    keep: Keep,
) -> Result<Consumer, BrokerError> {
    let session = subscriber.link.session(patience).await?;
    let epoch = Epoch::begin(session.clone(), &queue, prefetch, keep.clone()).await;
    let epoch = epoch.map_err(|error| error::of_queue(&error, &queue, &session.address))?;
    subscriber.strays.look_for(&queue);
    let intake = Arc::<Intake>::default();
    let stop = CancellationToken::new();
    let subscription = Subscription {
        queue,
        prefetch,
        feed: Feed(intake.clone()),
        stop: stop.clone(),
        // Not the subscription's: it would keep the runtime that it runs on.
        keep: Arc::downgrade(&keep),
        declared_in: session.epoch,
        failures: 0,
        subscriber: subscriber.clone(),
    };
    drop(subscriber.running.spawn(subscription.run(epoch)));
    Ok(Consumer::new(Source { intake, stop, _keep: keep }))
}

struct Subscription {
    queue: String,
    prefetch: NonZeroU16,
    feed: Feed,
    stop: CancellationToken,
    keep: std::sync::Weak<dyn Send + Sync>,
    /// The connection on which the queue was there, or was last declared: on the next one it may have to be again.
    declared_in: u64,
    failures: u32,
    subscriber: Subscriber,
}

impl Subscription {
    async fn run(mut self, first: Epoch) {
        let mut next = Some(first);
        while let Some(epoch) = next.take() {
            let closing = self.subscriber.closing.clone();
            let end = closing.run_until_cancelled(epoch.deliver(&self.feed)).await;
            match end {
                None => return epoch.close().await,
                Some(End::Stopped) => return self.retire(epoch, false).await,
                Some(End::Lost(error)) => {
                    let error = error.map(|error| error.to_string());
                    tracing::warn!(queue = self.queue, error, "lost the consumer; subscribing again");
                    epoch.lose();
                }
                Some(End::Quiet) => {
                    tracing::debug!(queue = self.queue, "nothing was delivered for a while; subscribing again");
                    self.retire(epoch, false).await;
                }
                Some(End::Cancelled) => {
                    tracing::warn!(queue = self.queue, "the broker cancelled the consumer; subscribing again");
                    epoch.acks().doubt();
                    self.retire_beside(epoch);
                }
            }
            let stop = self.stop.clone();
            let again = stop.run_until_cancelled(closing.run_until_cancelled(self.subscribe_again())).await;
            next = again.flatten().flatten();
        }
    }

    /// Until it has succeeded. `None` when nobody is there any more to consume.
    async fn subscribe_again(&mut self) -> Option<Epoch> {
        loop {
            let session = match self.subscriber.link.session(Patience::Endless).await {
                Ok(session) => session,
                Err(BrokerError::Closed) => return None,
                Err(error) => {
                    tracing::error!(queue = self.queue, %error, "cannot consume");
                    sleep(AFTER_REFUSAL).await;
                    continue;
                }
            };
            match self.begin(&session).await {
                Ok(epoch) => {
                    self.failures = 0;
                    self.subscriber.strays.look_for(&self.queue);
                    return epoch;
                }
                Err(error) => {
                    let error = error::of_queue(&error, &self.queue, &session.address);
                    match self.failures {
                        0 => tracing::warn!(queue = self.queue, %error, "cannot subscribe; trying again"),
                        _ => tracing::debug!(queue = self.queue, %error, "still cannot subscribe"),
                    }
                    sleep(self.pause()).await;
                }
            }
        }
    }

    async fn begin(&mut self, session: &Arc<Session>) -> Result<Option<Epoch>, lapin::Error> {
        let Some(keep) = self.keep.upgrade() else { return Ok(None) };
        let begun = Epoch::begin(session.clone(), &self.queue, self.prefetch, keep.clone()).await;
        match (begun, self.subscriber.declared.get(&self.queue)) {
            (Err(error), Some(spec)) if error::is_not_found(&error) && self.declared_in != session.epoch => {
                tracing::warn!(queue = self.queue, "the broker has forgotten the queue; declaring it again");
                session.guard(topology::declare(session, &spec)).await?;
                self.declared_in = session.epoch;
                Epoch::begin(session.clone(), &self.queue, self.prefetch, keep).await.map(Some)
            }
            (begun, _) => {
                self.declared_in = session.epoch;
                begun.map(Some)
            }
        }
    }

    async fn retire(&self, epoch: Epoch, is_cancelled: bool) {
        let acks = epoch.acks();
        let retiring = epoch.retire(is_cancelled);
        tokio::pin!(retiring);
        tokio::select! {
            () = &mut retiring => return,
            () = self.subscriber.closing.cancelled() => acks.close(),
        }
        retiring.await;
    }

    /// Runs of this epoch go on and may still be settled, while the next one begins.
    fn retire_beside(&self, epoch: Epoch) {
        let acks = epoch.acks();
        let closing = self.subscriber.closing.clone();
        let retiring = async move {
            let retiring = epoch.retire(true);
            tokio::pin!(retiring);
            tokio::select! {
                () = &mut retiring => return,
                () = closing.cancelled() => acks.close(),
            }
            retiring.await;
        };
        drop(self.subscriber.running.spawn(retiring));
    }

    fn pause(&mut self) -> Duration {
        let longest = SHORTEST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures += 1;
        longest.mul_f64(0.5 + 0.5 * fastrand::f64())
    }
}
