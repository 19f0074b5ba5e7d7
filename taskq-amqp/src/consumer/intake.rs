//! Where a worker takes deliveries from: straight from the connection, on the worker's own thread. The subscription offers one
//! channel after the other, and hears how each came to its end.

use super::{acks::Acks, epoch::End};
use crate::{delay, session::Session, wire};
use futures_util::StreamExt;
use lapin::message::Delivery as Received;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};
use taskq_core::{Delivery, Settle};
use tokio::{sync::oneshot, task::coop::poll_proceed};

/// What all deliveries of one channel have in common.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) session: Arc<Session>,
    pub(super) acks: Arc<Acks>,
    pub(super) settle: Arc<dyn Settle>,
}

impl Origin {
    /// Counts from now on among what the channel has delivered.
    pub(super) fn delivery(&self, received: Received) -> Delivery {
        self.acks.deliver();
        let is_due = delay::is_kept(received.routing_key.as_str());
        let (content, epitaph) = wire::content(&received.properties, received.data.into());
        Delivery::new(content, received.redelivered, received.delivery_tag, self.settle.clone())
            .with_epitaph(epitaph)
            .with_line(self.acks.line())
            .with_sent_after(self.session.heard())
            .with_delay_kept(is_due)
    }
}

/// What is polled at present.
struct Offer {
    consumer: lapin::Consumer,
    origin: Origin,
    ended: oneshot::Sender<End>,
}

impl Offer {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery, End>> {
        // What came by a channel that has ended comes again by the next one.
        if !self.origin.acks.is_current() {
            return Poll::Ready(Err(End::Lost(None)));
        }
        // With a large prefetch there may be a lot, and others are to have a turn meanwhile.
        let turn = ready!(poll_proceed(cx));
        let received = ready!(self.consumer.poll_next_unpin(cx));
        turn.made_progress();
        Poll::Ready(match received {
            Some(Ok(received)) => Ok(self.origin.delivery(received)),
            Some(Err(error)) => Err(End::Lost(Some(error))),
            None => Err(End::Cancelled),
        })
    }
}

#[derive(Default)]
pub(super) struct Intake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    offer: Option<Offer>,
    /// Whoever takes deliveries, if it waits for one.
    taker: Option<Waker>,
    is_over: bool,
}

impl State {
    fn wake(&mut self) -> impl FnOnce() + use<> {
        let taker = self.taker.take();
        move || taker.into_iter().for_each(Waker::wake)
    }
}

impl Intake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` once it is over.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.state();
        if let Some(offer) = &mut state.offer {
            match offer.poll_next(cx) {
                Poll::Ready(Ok(delivery)) => return Poll::Ready(Some(delivery)),
                Poll::Ready(Err(end)) => {
                    if let Some(Offer { ended, .. }) = state.offer.take() {
                        // A subscription that is gone needs no word.
                        let _ = ended.send(end);
                    }
                }
                Poll::Pending => {}
            }
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        match &mut state.taker {
            Some(taker) => taker.clone_from(cx.waker()),
            taker => *taker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Nothing is taken any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_over = true;
        let (offer, wake) = (state.offer.take(), state.wake());
        drop(state);
        drop(offer);
        wake();
    }
}

/// The subscription's side. What takes deliveries is told when it is dropped.
pub(super) struct Feed(pub(super) Arc<Intake>);

impl Feed {
    /// Deliveries are taken from there, until the guard is dropped. It resolves when the channel gives no more.
    pub(super) fn offer(&self, consumer: lapin::Consumer, origin: Origin) -> Offered<'_> {
        let (ended, end) = oneshot::channel();
        let mut state = self.0.state();
        if !state.is_over {
            state.offer = Some(Offer { consumer, origin, ended });
        }
        let wake = state.wake();
        drop(state);
        wake();
        Offered { feed: self, end }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.close();
    }
}

pub(super) struct Offered<'a> {
    feed: &'a Feed,
    end: oneshot::Receiver<End>,
}

impl Offered<'_> {
    /// Cancel safe.
    pub(super) async fn ended(&mut self) -> End {
        (&mut self.end).await.unwrap_or(End::Stopped)
    }
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        let offer = self.feed.0.state().offer.take();
        drop(offer);
    }
}
