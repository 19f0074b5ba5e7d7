//! What the caller of a message waits for.

use super::{
    job::Outcome,
    lane::Lane,
    wakes::{Look, Place, Wakes},
};
use futures_util::task::AtomicWaker;
use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};
use taskq_core::BrokerError;

enum Told {
    Nothing,
    Outcome(Outcome),
    /// Nobody waits any more.
    Over,
}

/// Who is woken about messages: the task that publishes one, or many.
pub(super) type Caller = Arc<AtomicWaker>;

/// Between a message and its caller. As the waker of the message's confirm it says which message is to be looked at.
pub(super) struct Reply {
    wakes: Arc<Wakes>,
    place: Mutex<Place>,
    caller: Caller,
    told: Mutex<Told>,
}

impl Reply {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_awaited(&self) -> bool {
        matches!(*self.told(), Told::Nothing)
    }

    fn tell(&self, outcome: Outcome) {
        let mut told = self.told();
        if let Told::Nothing = *told {
            *told = Told::Outcome(outcome);
            drop(told);
            self.caller.wake();
        }
    }
}

impl Wake for Reply {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let place = *self.place();
        self.wakes.push(Look::Woken(place));
        if self.wakes.are_for_keeper() || !self.is_awaited() {
            self.wakes.call_keeper();
        } else {
            self.caller.wake();
        }
    }
}

/// The message's end of a [`Reply`]. Dropped without a word it says that the broker is closed.
pub(super) struct Answer(Arc<Reply>);

impl Answer {
    pub(super) fn new<'a>(lane: &'a Lane, caller: &Caller) -> (Answer, Waiting<'a>) {
        let (wakes, caller) = (lane.wakes().clone(), caller.clone());
        let reply = Arc::new(Reply { wakes, place: Mutex::default(), caller, told: Mutex::new(Told::Nothing) });
        (Answer(reply.clone()), Waiting { reply, lane })
    }

    pub(super) fn tell(self, outcome: Outcome) {
        self.0.tell(outcome);
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.0.is_awaited()
    }

    /// What to wake about this message, which is there now.
    pub(super) fn waker_at(&self, place: Place) -> Waker {
        *self.0.place() = place;
        self.0.clone().into()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.tell(Err(BrokerError::Closed));
    }
}

/// Resolves to the outcome of a message.
pub(super) struct Waiting<'a> {
    reply: Arc<Reply>,
    lane: &'a Lane,
}

impl Waiting<'_> {
    fn take(&self) -> Option<Outcome> {
        let mut told = self.reply.told();
        match mem::replace(&mut *told, Told::Over) {
            Told::Outcome(outcome) => Some(outcome),
            waiting => {
                *told = waiting;
                None
            }
        }
    }
}

impl Future for Waiting<'_> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            // Before there is a waker again: who tells itself has no need to be woken.
            self.lane.take_in();
            if let Some(outcome) = self.take() {
                return Poll::Ready(outcome);
            }
            self.reply.caller.register(cx.waker());
            if self.reply.is_awaited() && self.lane.wakes().is_empty() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.reply.told() = Told::Over;
        // The reply may live on for long where the message was.
        drop(self.reply.caller.take());
        // It may have been called, and does not look any more.
        if !self.lane.wakes().is_empty() {
            self.lane.wakes().call_keeper();
        }
    }
}
