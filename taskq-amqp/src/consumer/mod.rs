//! Consuming: one channel per queue, subscribed anew whenever it ends, and settlements that never reach another channel
//! than their own.

mod acks;
mod arrivals;
mod epoch;
mod intake;
mod ledger;
mod quiet;
mod subscription;

use epoch::Keep;
use intake::Intake;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
pub(crate) use subscription::{Subscriber, subscribe};
use taskq_core::{Delivery, DeliverySource};
use tokio_util::sync::CancellationToken;

/// What a worker takes deliveries from.
pub(crate) struct Source {
    intake: Arc<Intake>,
    stop: CancellationToken,
    _keep: Keep,
}

impl DeliverySource for Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.intake.poll_next(cx)
    }

    fn buffers(&self) -> bool {
        true
    }

    fn stop(&mut self) {
        self.intake.close();
        self.stop.cancel();
    }
}
