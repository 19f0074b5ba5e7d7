//! A consumer of an in-memory queue. Due instants are watched by the consumers themselves, so that no timer outlives its
//! runtime.

use super::{Shared, queue::Next};
use crate::{
    delivery::{Delivery, DeliverySource, Settle, Settlement},
    error::BrokerError,
};
use std::{
    num::NonZeroU16,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    runtime,
    time::{Instant, Sleep},
};

pub(super) struct MemorySource {
    settle: Arc<MemorySettle>,
    id: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

struct MemorySettle {
    shared: Arc<Shared>,
    queue: String,
}

impl MemorySource {
    pub(super) fn start(shared: &Arc<Shared>, queue: &str, prefetch: NonZeroU16) -> Result<Self, BrokerError> {
        let mut state = shared.lock();
        let id = state.next;
        let home = runtime::Handle::try_current().ok().map(|runtime| runtime.id());
        state.existing(queue)?.add_taker(id, prefetch.get().into(), home);
        state.next += 1;
        drop(state);
        let settle = MemorySettle { shared: shared.clone(), queue: queue.to_owned() };
        Ok(MemorySource { settle: Arc::new(settle), id, timer: None })
    }

    fn ask(&self, cx: &Context<'_>) -> Next {
        let mut state = self.settle.shared.lock();
        let limit = state.settings.limit_of(&self.settle.queue).map(usize::from);
        match state.queues.get_mut(&self.settle.queue) {
            Some(queue) => queue.next(self.id, limit, cx.waker()),
            None => Next::Ended,
        }
    }

    /// Whether `due` has come; if not, the task is woken then.
    fn poll_due(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

impl DeliverySource for MemorySource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            match self.ask(cx) {
                Next::Ended => return Poll::Ready(None),
                Next::Wait(None) => return Poll::Pending,
                Next::Wait(Some(due)) => std::task::ready!(self.poll_due(due, cx)),
                Next::Take { tag, content, epitaph, redelivered } => {
                    let delivery = Delivery::new(content, redelivered, tag, self.settle.clone());
                    return Poll::Ready(Some(delivery.with_epitaph(epitaph)));
                }
            }
        }
    }

    fn stop(&mut self) {
        if let Some(queue) = self.settle.shared.lock().queues.get_mut(&self.settle.queue) {
            queue.remove_taker(self.id);
        }
    }
}

impl Settle for MemorySettle {
    fn settle(&self, tag: u64, settlement: Settlement) {
        let mut state = self.shared.lock();
        if let Some(queue) = state.queues.get_mut(&self.queue) {
            queue.settle(tag, settlement);
        }
        if state.is_idle() {
            self.shared.idle.notify_waiters();
        }
    }
}
