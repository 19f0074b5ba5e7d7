//! The consuming side of a flaky broker.

use super::history::{History, Step};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};
use taskq_core::{Consumer, Delivery, DeliverySource, Settle, Settlement, TaskId, Unsettled};

/// Passes deliveries on with their settling in our hands.
pub(super) struct FlakySource {
    consumer: Consumer,
    held: Arc<Held>,
    next: u64,
}

impl FlakySource {
    pub(super) fn new(consumer: Consumer, history: Arc<History>, lost_acks: Vec<u64>) -> Self {
        let held = Held { history, lost_acks, deliveries: Mutex::default() };
        FlakySource { consumer, held: Arc::new(held), next: 0 }
    }
}

impl DeliverySource for FlakySource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let Some(delivery) = ready!(self.consumer.poll_next(cx)) else { return Poll::Ready(None) };
        let (tag, id) = (self.next, delivery.content.id().cloned());
        self.next += 1;
        self.held.lock().insert(tag, (id, delivery.unsettled));
        let mut passed = Delivery::new(delivery.content, delivery.redelivered, tag, self.held.clone());
        passed.epitaph = delivery.epitaph;
        passed.received = delivery.received;
        Poll::Ready(Some(passed))
    }

    fn stop(&mut self) {
        self.consumer.stop();
    }
}

/// The deliveries of one consumer, until they are settled.
struct Held {
    history: Arc<History>,
    lost_acks: Vec<u64>,
    deliveries: Mutex<HashMap<u64, (Option<TaskId>, Unsettled)>>,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (Option<TaskId>, Unsettled)>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loses_this_ack(&self) -> bool {
        self.lost_acks.contains(&self.history.count_ack())
    }
}

impl Settle for Held {
    fn settle(&self, tag: u64, settlement: Settlement) {
        let Some((id, unsettled)) = self.lock().remove(&tag) else { return };
        // Written before the broker hears of it: afterwards the message may come again, and its steps before this one.
        match settlement {
            Settlement::Requeue => {
                self.history.write(Step::Requeued { id });
                unsettled.requeue();
            }
            Settlement::Ack if self.loses_this_ack() => {
                self.history.write(Step::AckLost { id });
                unsettled.requeue();
            }
            Settlement::Ack => {
                self.history.write(Step::Acked { id });
                unsettled.ack();
            }
        }
    }
}
