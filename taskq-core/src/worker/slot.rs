//! The room that one run takes among those of its queue.

use super::process::Source;
use std::{mem, sync::Arc};
use tokio::sync::SemaphorePermit;

/// Of a source, unless it is released.
pub(super) struct Slot(Option<Arc<Source>>);

impl Slot {
    /// One that is free, if any is.
    pub(super) fn try_take(source: &Arc<Source>) -> Option<Self> {
        source.slots.try_acquire().ok().map(|permit| Slot::keep(permit, source))
    }

    /// Waits until one is free. Cancel safe.
    pub(super) async fn take(source: &Arc<Source>) -> Self {
        match source.slots.acquire().await {
            Ok(permit) => Slot::keep(permit, source),
            // Nobody closes the queue's slots.
            Err(_) => Slot(None),
        }
    }

    /// In one word, where a permit takes two.
    fn keep(permit: SemaphorePermit<'_>, source: &Arc<Source>) -> Self {
        permit.forget();
        Slot(Some(source.clone()))
    }

    /// Lets others run: this one waits, or is done.
    pub(super) fn release(&mut self) {
        if let Some(source) = mem::take(&mut self.0) {
            source.slots.add_permits(1);
        }
    }

    /// Waits for room again, if it was released. Cancel safe.
    pub(super) async fn regain(&mut self, source: &Arc<Source>) {
        if self.0.is_none() {
            *self = Slot::take(source).await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.release();
    }
}
