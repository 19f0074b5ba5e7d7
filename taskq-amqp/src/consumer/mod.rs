//! Consuming: one channel per queue, subscribed anew whenever it ends, and settlements that never reach another channel
//! than their own.

mod acks;
mod epoch;
mod ledger;
mod quiet;
mod subscription;

use acks::Acks;
use epoch::Keep;
use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, ready},
};
pub(crate) use subscription::{Subscriber, subscribe};
use taskq_core::{Delivery, DeliverySource};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A delivery and the channel that it came by.
struct Item {
    delivery: Delivery,
    acks: Arc<Acks>,
}

/// What a worker takes deliveries from.
pub(crate) struct Source {
    /// What has come together is handed over together.
    batches: mpsc::Receiver<Vec<Item>>,
    batch: VecDeque<Item>,
    stop: CancellationToken,
    _keep: Keep,
}

impl DeliverySource for Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            match self.batch.pop_front() {
                // What came by a channel that has ended comes again by the next one.
                Some(item) if !item.acks.is_current() => drop(item),
                Some(item) => return Poll::Ready(Some(item.delivery)),
                None => match ready!(self.batches.poll_recv(cx)) {
                    Some(batch) => self.batch = batch.into(),
                    None => return Poll::Ready(None),
                },
            }
        }
    }

    fn stop(&mut self) {
        self.stop.cancel();
        self.batches.close();
        self.batch.clear();
        while self.batches.try_recv().is_ok() {}
    }
}
