//! Deliveries that are asked for one by one, and counted here.

use super::{Delivery, DeliverySource, Settle, Settlement, settle};
use std::{
    num::NonZeroU16,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

/// Asks `next` for a delivery whenever there is room for one.
pub(super) struct Pull<N, F> {
    room: Arc<Room>,
    next: N,
    /// The delivery that was asked for last, while it has not come.
    coming: Option<Pin<Box<F>>>,
    on_stop: Option<Box<dyn FnOnce() + Send>>,
}

impl<N, F> Pull<N, F> {
    pub(super) fn new(prefetch: NonZeroU16, next: N, on_stop: impl FnOnce() + Send + 'static) -> Self {
        let room = Room(Mutex::new(Free { places: prefetch.get(), waker: None }));
        Pull { room: Arc::new(room), next, coming: None, on_stop: Some(Box::new(on_stop)) }
    }
}

impl<N, F> DeliverySource for Pull<N, F>
where
    N: FnMut() -> F + Send,
    F: Future<Output = Option<Delivery>> + Send,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if !self.room.is_free(cx) {
            return Poll::Pending;
        }
        let next = &mut self.next;
        let coming = self.coming.get_or_insert_with(|| Box::pin(next()));
        let came = ready!(coming.as_mut().poll(cx));
        self.coming = None;
        Poll::Ready(came.map(|delivery| self.room.fill(delivery)))
    }

    fn stop(&mut self) {
        self.coming = None;
        if let Some(on_stop) = self.on_stop.take() {
            on_stop();
        }
    }
}

/// How many more deliveries the consumer may hold.
struct Room(Mutex<Free>);

struct Free {
    places: u16,
    /// Who waits for a place.
    waker: Option<Waker>,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Free> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// If not, the task is woken when it is.
    fn is_free(&self, cx: &Context<'_>) -> bool {
        let mut free = self.lock();
        free.waker = (free.places == 0).then(|| cx.waker().clone());
        free.places > 0
    }

    /// The delivery, which leaves its place when it is settled.
    fn fill(self: &Arc<Self>, mut delivery: Delivery) -> Delivery {
        self.lock().places -= 1;
        if let Some(settle) = delivery.unsettled.settle.take() {
            delivery.unsettled.settle = Some(Arc::new(Counted { settle, room: self.clone() }));
        }
        delivery
    }

    fn leave(&self) {
        let mut free = self.lock();
        free.places += 1;
        let waker = free.waker.take();
        drop(free);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Counted {
    settle: Arc<dyn Settle>,
    room: Arc<Room>,
}

impl Settle for Counted {
    fn settle(&self, tag: u64, settlement: Settlement) {
        settle::tell(&*self.settle, tag, settlement);
        self.room.leave();
    }

    fn flush(&self) {
        self.settle.flush();
    }
}
