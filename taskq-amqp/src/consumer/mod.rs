//! Consuming: one channel per queue, subscribed anew whenever it ends, and settlements that never reach another channel
//! than their own.

mod acks;
mod epoch;
mod ledger;
mod subscription;

use acks::Acks;
use epoch::Keep;
use std::{
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
    items: mpsc::Receiver<Item>,
    stop: CancellationToken,
    _keep: Keep,
}

impl DeliverySource for Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            match ready!(self.items.poll_recv(cx)) {
                // What came by a channel that has ended comes again by the next one.
                Some(item) if !item.acks.is_current() => drop(item),
                Some(item) => return Poll::Ready(Some(item.delivery)),
                None => return Poll::Ready(None),
            }
        }
    }

    fn stop(&mut self) {
        self.stop.cancel();
        self.items.close();
        while self.items.try_recv().is_ok() {}
    }
}
