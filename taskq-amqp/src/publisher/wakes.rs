//! Messages about which the server may have said something, in the order in which it did, and who is called to look.
//!
//! Who waits for a message is called about it, looks at all that is there, and tells the others: no thread between
//! them and the connection has to wake up for it. The keeper of the lane is called where nobody waits, or where something else depends on it.

use super::room::Awaited;
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

/// Something to be looked at.
pub(super) enum Look {
    /// The future in this place has woken.
    Woken(Place),
    /// All that were done when the future in this place was found done have been looked at.
    Settle(Place),
}

pub(super) struct Wakes {
    looks: Mutex<VecDeque<Look>>,
    /// Whether somebody waits for room that confirms give back.
    room: Awaited,
    /// Whether more depends on what the server says than the caller of that message.
    is_busy: AtomicBool,
    keeper: Notify,
}

impl Wakes {
    pub(super) fn new(room: Awaited) -> Wakes {
        Wakes { looks: Mutex::default(), room, is_busy: AtomicBool::new(false), keeper: Notify::new() }
    }

    pub(super) fn push(&self, look: Look) {
        self.looks().push_back(look);
    }

    pub(super) fn pop(&self) -> Option<Look> {
        self.looks().pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.looks().is_empty()
    }

    pub(super) fn set_busy(&self, is_busy: bool) {
        if self.is_busy.load(Ordering::SeqCst) != is_busy {
            self.is_busy.store(is_busy, Ordering::SeqCst);
            if is_busy {
                // What came before went by it.
                self.call_keeper();
            }
        }
    }

    /// Whether the keeper is to be called, and not the caller of the message.
    pub(super) fn are_for_keeper(&self) -> bool {
        self.is_busy.load(Ordering::SeqCst) || self.room.is_awaited()
    }

    pub(super) fn call_keeper(&self) {
        self.keeper.notify_one();
    }

    /// Resolves when the keeper was called since it last did. Cancel safe.
    pub(super) async fn called(&self) {
        self.keeper.notified().await;
    }

    fn looks(&self) -> MutexGuard<'_, VecDeque<Look>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
