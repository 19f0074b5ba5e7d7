//! One queue: permits in, deliveries out.

use super::{
    begin::{Beginnings, Ready},
    lull::Taker,
    plan::QueuePlan,
    process::{Processor, Source},
    slot::Slot,
    standing::Footing,
};
use crate::{
    defaults::START_LIMIT,
    delivery::{Consumer, Delivery, Line},
};
use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// So many deliveries are taken before the first of them begins. To look at all else between any two takes a twentieth of what the
/// in-memory broker can do.
const TOGETHER: usize = 16;

pub(super) struct Receiver {
    consumer: Consumer,
    /// Where ends are stored together, and it may be woken late.
    taker: Option<Taker>,
    source: Arc<Source>,
    /// There was nothing to take when it last looked.
    is_dry: bool,
    /// The line of the last delivery, of which runs that wait are told.
    line: Option<Line>,
    /// Taken and not started; the broker's prefetch bounds it.
    waiting: VecDeque<(Delivery, Footing)>,
    beginnings: Arc<Beginnings>,
}

impl Receiver {
    pub(super) fn new(consumer: Consumer, queue: &QueuePlan, processor: Arc<Processor>, runs: TaskTracker) -> Self {
        let source = Arc::new(Source::new(processor, queue));
        let beginnings = Beginnings::new(source.clone(), runs);
        let endings = source.processor.endings.as_ref().filter(|_| consumer.buffers());
        let taker = endings.map(|endings| endings.lull().taker());
        let waiting = VecDeque::new();
        Receiver { consumer, taker, source, is_dry: false, line: None, waiting, beginnings }
    }

    /// Until told to stop, or until the broker is closed. What has not started goes back.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut stopped = pin!(stop.cancelled());
        let mut overdue = pin!(sleep_until(Instant::now()));
        let source = self.source.clone();
        loop {
            self.make_ready();
            tokio::select! {
                biased;
                () = &mut stopped => break,
                // Where all slots are taken runs last, and this one probably does too.
                slot = Slot::take(&source), if !self.waiting.is_empty() => self.spawn(slot),
                has_more = poll_fn(|cx| self.poll_deliveries(cx)) => if !has_more { break },
                () = &mut overdue, if !self.waiting.is_empty() => self.give_back_if_overdue(overdue.as_mut()),
            }
        }
        // Stopped before the deliveries are dropped, so that they do not come straight back.
        self.consumer.stop();
        self.beginnings.clear();
    }

    /// Keeps what has come, a few at a time. Tells whether more can come.
    fn poll_deliveries(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if mem::take(&mut self.is_dry) && !self.consumer.buffers() {
            // Whoever publishes right after the one that has woken this comes first, and all is taken together.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        for taken in 0..TOGETHER {
            match self.poll_delivery(cx) {
                Poll::Ready(Some(delivery)) => self.keep(delivery),
                Poll::Ready(None) => return Poll::Ready(false),
                Poll::Pending if taken > 0 => break,
                Poll::Pending => {
                    self.is_dry = true;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(true)
    }

    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        match &self.taker {
            Some(taker) => self.consumer.poll_next(&mut taker.context(cx)),
            None => self.consumer.poll_next(cx),
        }
    }

    fn keep(&mut self, delivery: Delivery) {
        let footing = Footing::new(delivery.line.clone(), delivery.sent_after);
        if let Some(line) = &delivery.line
            && !self.line.as_ref().is_some_and(|known| known.is(line))
        {
            line.watch(self.source.processor.alarms.watcher());
            self.line = Some(line.clone());
        }
        self.waiting.push_back((delivery, footing));
    }

    fn make_ready(&mut self) {
        while !self.waiting.is_empty()
            && let Some(slot) = Slot::try_take(&self.source)
        {
            self.next(slot).into_iter().for_each(|ready| self.beginnings.add(ready));
        }
        self.beginnings.call();
    }

    fn spawn(&mut self, slot: Slot) {
        self.next(slot).into_iter().for_each(|ready| self.beginnings.spawn(ready));
    }

    fn next(&mut self, slot: Slot) -> Option<Ready> {
        let (delivery, footing) = self.waiting.pop_front()?;
        Some(Ready { delivery, footing, slot })
    }

    /// A delivery that waits behind long tasks here may find a free worker elsewhere, and the broker's consumer timeout
    /// counts from delivery. Those behind it go with it: they would overtake it.
    fn give_back_if_overdue(&mut self, overdue: std::pin::Pin<&mut Sleep>) {
        let now = Instant::now();
        let due = self.waiting.front().map_or(now, |(delivery, _)| delivery.received) + START_LIMIT;
        if due <= now {
            tracing::debug!(
                queue = self.source.queue(),
                deliveries = self.waiting.len(),
                "not started in time: given back"
            );
            self.waiting.drain(..).for_each(|(delivery, _)| delivery.requeue());
        }
        // Looked at again when the one that is first now would be late: its like come and go much faster than that.
        overdue.reset(due.max(now));
    }
}
