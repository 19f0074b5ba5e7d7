//! Where a worker takes deliveries from: straight from the connection, on the worker's own thread. The subscription offers one
//! channel after the other, looks itself from time to time, and hears how each came to its end.

use super::{acks::Acks, arrivals::Arrivals, epoch::End, quiet::Quiet};
use crate::{delay, session::Session, wire};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery as Received;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};
use taskq_core::{Delivery, Settle};
use tokio::{sync::oneshot, task::coop::poll_proceed, time::Instant};

/// What all deliveries of one channel have in common.
#[derive(Clone)]
pub(super) struct Descent {
    pub(super) session: Arc<Session>,
    pub(super) acks: Arc<Acks>,
    pub(super) settle: Arc<dyn Settle>,
}

impl Descent {
    /// Counts from now on among what the channel has delivered.
    pub(super) fn delivery(&self, received: Received, sent_after: Instant) -> Delivery {
        self.acks.deliver();
        let is_due = delay::is_kept(received.routing_key.as_str());
        let (content, epitaph) = wire::content(&received.properties, received.data.into());
        Delivery::new(content, received.redelivered, received.delivery_tag, self.settle.clone())
            .with_epitaph(epitaph)
            .with_line(self.acks.line())
            .with_sent_after(sent_after)
            .with_delay_kept(is_due)
    }
}

/// A channel that deliveries are taken from.
struct Present {
    consumer: lapin::Consumer,
    descent: Descent,
    arrivals: Arrivals,
    /// Found when the subscription looked, and to be taken first.
    found: VecDeque<Delivery>,
    ended: oneshot::Sender<End>,
}

type Arrived = Option<Result<Received, lapin::Error>>;

impl Present {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery, End>> {
        if let Some(found) = self.found.pop_front() {
            return Poll::Ready(Ok(found));
        }
        // With a large prefetch there may be a lot, and others are to have a turn meanwhile.
        let turn = ready!(poll_proceed(cx));
        let heard = self.descent.session.heard();
        let Poll::Ready(arrived) = self.consumer.poll_next_unpin(cx) else {
            self.arrivals.none_left(heard);
            // The channel is gone, and lapin has not said so yet.
            return if self.descent.acks.is_current() { Poll::Pending } else { Poll::Ready(Err(End::Lost(None))) };
        };
        turn.made_progress();
        Poll::Ready(self.take(arrived, heard))
    }

    fn take(&mut self, arrived: Arrived, heard: Instant) -> Result<Delivery, End> {
        match arrived {
            // What came by a channel that has ended comes again by the next one.
            Some(Ok(_)) if !self.descent.acks.is_current() => Err(End::Lost(None)),
            Some(Ok(received)) => Ok(self.descent.delivery(received, self.arrivals.next(heard))),
            Some(Err(error)) => Err(End::Lost(Some(error))),
            None => Err(End::Cancelled),
        }
    }

    /// Whoever takes deliveries may be held up. What has come is not quiet, and an end behind it is an end.
    fn look(&mut self) -> Option<End> {
        // With a waker of its own.
        let mut looking = self.consumer.clone();
        loop {
            let heard = self.descent.session.heard();
            let Some(arrived) = looking.next().now_or_never() else {
                self.arrivals.none_left(heard);
                return (!self.descent.acks.is_current()).then_some(End::Lost(None));
            };
            match self.take(arrived, heard) {
                Ok(delivery) => self.found.push_back(delivery),
                Err(end) => return Some(end),
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Intake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    present: Option<Present>,
    /// Whoever takes deliveries, if it waits for one.
    taker: Option<Waker>,
    is_over: bool,
}

impl Intake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` once it is over.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.state();
        if let Some(present) = &mut state.present {
            match present.poll_next(cx) {
                Poll::Ready(Ok(delivery)) => return Poll::Ready(Some(delivery)),
                Poll::Ready(Err(end)) => {
                    if let Some(Present { ended, .. }) = state.present.take() {
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
        drop(self.change(|state| {
            state.is_over = true;
            state.present.take()
        }));
    }

    /// Whoever takes deliveries looks again after it.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state();
        let (result, taker) = (change(&mut state), state.taker.take());
        drop(state);
        taker.into_iter().for_each(Waker::wake);
        result
    }
}

/// The subscription's side. Whoever takes deliveries is told when it is dropped.
pub(super) struct Feed(pub(super) Arc<Intake>);

impl Feed {
    /// Deliveries are taken from there, until the guard is dropped.
    pub(super) fn offer(&self, consumer: lapin::Consumer, descent: Descent, arrivals: Arrivals) -> Offered<'_> {
        let (ended, end) = oneshot::channel();
        let present = Present { consumer, descent, arrivals, found: VecDeque::new(), ended };
        self.0.change(|state| state.present = (!state.is_over).then_some(present));
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
    /// Resolves when nothing more is taken from the channel. Cancel safe.
    pub(super) async fn ended(&mut self) -> End {
        (&mut self.end).await.unwrap_or(End::Stopped)
    }

    /// Looks for what may have come while nobody takes it, and whether it is too quiet: then nothing more is taken.
    pub(super) fn look(&self, quiet: &mut Quiet) -> Option<End> {
        let mut state = self.feed.0.state();
        let present = state.present.as_mut()?;
        if let Some(end) = present.look() {
            return Some(end);
        }
        if !present.found.is_empty() {
            let taker = state.taker.take();
            drop(state);
            taker.into_iter().for_each(Waker::wake);
            return None;
        }
        // Nothing is taken from it in between.
        let is_quiet = quiet.lasts(present.descent.acks.at_rest());
        let withdrawn = if is_quiet { state.present.take() } else { None };
        drop(state);
        withdrawn.map(|_| End::Quiet)
    }
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        drop(self.feed.0.change(|state| state.present.take()));
    }
}
