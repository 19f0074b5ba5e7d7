//! The room that one run takes among those of its queue.

use super::process::Source;
use tokio::sync::OwnedSemaphorePermit;

pub(super) struct Slot(Option<OwnedSemaphorePermit>);

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Slot(Some(permit))
    }

    /// Lets others run: this one waits, or is done.
    pub(super) fn release(&mut self) {
        self.0 = None;
    }

    /// Waits for room again, if it was released. Cancel safe.
    pub(super) async fn regain(&mut self, source: &Source) {
        if self.0.is_none() {
            // Nobody closes the queue's slots.
            self.0 = source.slots.clone().acquire_owned().await.ok();
        }
    }
}
