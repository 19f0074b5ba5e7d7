//! Messages about which the server may have said something, in the order in which it did, and who is called to look.
//!
//! Who waits for a message is called about it, looks at all that is there, and tells the others: no other thread has to wake
//! up for it. The keeper of the lane is called where nobody waits, or where something else depends on it.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// Where a message is in the window, and its number among all that were handed over: a late word about an earlier message in
/// the same place is about nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) key: usize,
    pub(super) serial: u64,
}

#[derive(Default)]
pub(super) struct Wakes {
    places: Mutex<VecDeque<Place>>,
    /// Whether more depends on what the server says than the caller of that message.
    is_busy: AtomicBool,
    keeper: Notify,
}

impl Wakes {
    pub(super) fn push(&self, place: Place) {
        self.places().push_back(place);
    }

    pub(super) fn pop(&self) -> Option<Place> {
        self.places().pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places().is_empty()
    }

    /// The keeper must be called after this becomes true: what came before went by it.
    pub(super) fn set_busy(&self, is_busy: bool) {
        if self.is_busy() != is_busy {
            self.is_busy.store(is_busy, Ordering::SeqCst);
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::SeqCst)
    }

    pub(super) fn call_keeper(&self) {
        self.keeper.notify_one();
    }

    /// Resolves when the keeper was called since it last did. Cancel safe.
    pub(super) async fn called(&self) {
        self.keeper.notified().await;
    }

    fn places(&self) -> MutexGuard<'_, VecDeque<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
