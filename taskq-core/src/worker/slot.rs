//! The room that one run takes among those of its queue.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Slot {
    slots: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    pub(super) fn new(slots: Arc<Semaphore>, permit: OwnedSemaphorePermit) -> Self {
        Slot { slots, permit: Some(permit) }
    }

    /// Lets others run: this one waits, or is done.
    pub(super) fn release(&mut self) {
        self.permit = None;
    }

    /// Waits for room again, if it was released. Cancel safe.
    pub(super) async fn regain(&mut self) {
        if self.permit.is_none() {
            // Nobody closes the queue's slots.
            self.permit = self.slots.clone().acquire_owned().await.ok();
        }
    }
}
