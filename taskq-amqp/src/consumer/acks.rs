//! Settling on one channel: settlements are taken over at once, and the server is told in batches. Whoever fills a batch tells
//! it, or whoever has settled the last of many, and a task of the channel's own tells what is left over.

use super::ledger::{Batch, Ledger};
use futures_util::FutureExt;
use lapin::{
    Channel, ChannelState, Error, ErrorKind,
    options::{BasicAckOptions, BasicNackOptions},
};
use std::{
    num::NonZeroU16,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use taskq_core::{Line, Settle, Settlement};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long a settlement waits for others to be told together with.
const GATHER: Duration = Duration::from_millis(5);

/// With so many nobody waits for more.
const BATCH: usize = 64;

const REQUEUE: BasicNackOptions = BasicNackOptions { multiple: false, requeue: true };

/// The settlements of one channel, from its first delivery until it is closed or dies.
pub(super) struct Acks {
    ledger: Mutex<Ledger>,
    /// How many settlements make a batch.
    batch: usize,
    /// Whether deliveries are still handed out: not after the consumer was cancelled, or the channel died.
    is_current: AtomicBool,
    /// Cancelled when the channel is gone.
    lost: CancellationToken,
    /// Cut when the server may have given what was delivered to others.
    line: Line,
    is_closing: AtomicBool,
    hand_over: Box<HandOver>,
    changed: Notify,
    /// What is left over is not to wait.
    hurry: Notify,
}

/// What gives a batch to the connection.
type HandOver = dyn Fn(Batch) -> Result<(), Error> + Send + Sync;

impl Acks {
    pub(super) fn new(
        prefetch: NonZeroU16,
        hand_over: impl Fn(Batch) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Acks {
        // With a small prefetch the next delivery waits for the ack of the last.
        let batch = usize::from(prefetch.get() / 4).clamp(1, BATCH);
        Acks {
            ledger: Mutex::default(),
            batch,
            is_current: AtomicBool::new(true),
            lost: CancellationToken::new(),
            line: Line::new(),
            is_closing: AtomicBool::new(false),
            hand_over: Box::new(hand_over),
            changed: Notify::new(),
            hurry: Notify::new(),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deliver(&self) {
        self.ledger().deliver();
    }

    /// Whether a delivery of this channel should still be handed out.
    pub(super) fn is_current(&self) -> bool {
        self.is_current.load(Ordering::Acquire)
    }

    /// Cut when the server may have given what was delivered to others.
    pub(super) fn line(&self) -> Line {
        self.line.clone()
    }

    /// The server has cancelled the consumer: of a classic queue whose node is down, or of one that was deleted.
    pub(super) fn doubt(&self) {
        self.line.cut();
    }

    /// No more deliveries are handed out; those that were may still be settled.
    pub(super) fn retire(&self) {
        self.is_current.store(false, Ordering::Release);
        self.changed.notify_one();
    }

    /// The channel is gone: settling does nothing any more.
    pub(super) fn die(&self) {
        self.retire();
        {
            // Nobody who tells right now is interrupted, and nobody tells after it.
            let _ledger = self.ledger();
            self.lost.cancel();
        }
        self.line.cut();
        self.changed.notify_one();
    }

    /// Nothing more is waited for: what is settled is told, and the rest is left to come again.
    pub(super) fn close(&self) {
        self.retire();
        self.is_closing.store(true, Ordering::Release);
        self.changed.notify_one();
        self.hurry.notify_one();
    }

    /// Tells the server what is left over, until the channel dies or, once retired, all is settled.
    pub(super) async fn tell_the_rest(&self) {
        while !self.lost.is_cancelled() {
            let (untold, unsettled) = self.counts();
            if untold == 0 {
                let is_last = self.is_closing.load(Ordering::Acquire) || !self.is_current() && unsettled == 0;
                if is_last {
                    return;
                }
                self.changed.notified().await;
                continue;
            }
            if untold < self.batch && self.is_current() {
                let _ = timeout(GATHER, self.hurry.notified()).await;
            }
            self.tell(self.ledger());
        }
    }

    /// How much was delivered, if there was something, all of it is settled, and the server was told.
    pub(super) fn at_rest(&self) -> Option<u64> {
        let ledger = self.ledger();
        (ledger.delivered() > 0 && ledger.untold() == 0 && ledger.unsettled() == 0).then(|| ledger.delivered())
    }

    pub(super) fn settle(&self, tag: u64, settlement: Settlement) {
        let mut ledger = self.ledger();
        ledger.settle(tag, settlement);
        if ledger.untold() >= self.batch {
            return self.tell(ledger);
        }
        drop(ledger);
        self.changed.notify_one();
    }

    /// No more come at once: what there is does not wait for more, unless it is so little that it hardly keeps the next
    /// deliveries away.
    fn flush(&self) {
        let ledger = self.ledger();
        if ledger.untold() > self.batch / 4 {
            self.tell(ledger);
        }
    }

    /// Tells the server what there is to tell. Under the lock: an ack of many that overtook a requeue among them would lose its
    /// message.
    fn tell(&self, mut ledger: MutexGuard<'_, Ledger>) {
        if self.lost.is_cancelled() {
            return;
        }
        let told = (self.hand_over)(ledger.take(!self.is_current()));
        let is_rest_left = ledger.untold() > 0;
        drop(ledger);
        if let Err(error) = told {
            tracing::debug!(%error, "settlements were lost with their channel; their messages come again");
            self.die();
        } else if is_rest_left || !self.is_current() {
            // For what has to wait for others, or to see that this was the last.
            self.changed.notify_one();
        }
    }

    fn counts(&self) -> (usize, u64) {
        let ledger = self.ledger();
        (ledger.untold(), ledger.unsettled())
    }
}

/// Hands `batch` over to the connection, in its order. What is not written when the connection ends comes again.
pub(super) fn hand_over(channel: &Weak<Channel>, batch: Batch) -> Result<(), Error> {
    let Some(channel) = channel.upgrade() else {
        return Err(ErrorKind::InvalidChannelState(ChannelState::Closed, "settling").into());
    };
    for tag in batch.requeued {
        handed_over(channel.basic_nack(tag, REQUEUE))?;
    }
    if let Some(tag) = batch.acked_up_to {
        handed_over(channel.basic_ack(tag, BasicAckOptions { multiple: true }))?;
    }
    for tag in batch.acked {
        handed_over(channel.basic_ack(tag, BasicAckOptions::default()))?;
    }
    Ok(())
}

/// The frame is with the connection once this was polled, in the order of the calls. Nobody has to wake up when it is written.
fn handed_over(telling: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    telling.now_or_never().unwrap_or(Ok(()))
}

/// A planted bug: what was delivered on a channel that died is settled on the channel that was opened last.
#[cfg(taskq_bug = "ack_across_epochs")]
pub(super) fn newest() -> MutexGuard<'static, Option<Arc<Acks>>> {
    static NEWEST: Mutex<Option<Arc<Acks>>> = Mutex::new(None);
    NEWEST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What deliveries settle with. Keeps the broker's runtime, without which nobody would be told.
pub(super) struct Settler {
    pub(super) acks: Arc<Acks>,
    pub(super) _alive: Arc<dyn Send + Sync>,
}

impl Settle for Settler {
    fn settle(&self, tag: u64, settlement: Settlement) {
        let acks = &self.acks;
        #[cfg(taskq_bug = "ack_across_epochs")]
        let newest = newest().clone().unwrap_or_else(|| acks.clone());
        #[cfg(taskq_bug = "ack_across_epochs")]
        let acks = if acks.lost.is_cancelled() { &newest } else { acks };
        if acks.lost.is_cancelled() {
            return;
        }
        acks.settle(tag, settlement);
    }

    fn flush(&self) {
        self.acks.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{task::JoinHandle, time::timeout};

    /// Nothing else is to be waited for that long.
    const LONG: Duration = Duration::from_secs(60);

    /// The settlements of a channel, and what the server was told, in batches.
    fn acks(prefetch: u16, delivered: usize) -> (Arc<Acks>, Arc<Mutex<Vec<Batch>>>) {
        let told = Arc::<Mutex<Vec<Batch>>>::default();
        let telling = told.clone();
        let hand_over = move |batch| {
            telling.lock().unwrap().push(batch);
            Ok(())
        };
        let acks = Arc::new(Acks::new(NonZeroU16::new(prefetch).unwrap(), hand_over));
        (0..delivered).for_each(|_| acks.deliver());
        (acks, told)
    }

    async fn begin_telling(acks: &Arc<Acks>) -> JoinHandle<()> {
        let acks = acks.clone();
        let telling = tokio::spawn(async move { acks.tell_the_rest().await });
        tokio::task::yield_now().await;
        telling
    }

    fn told_of(told: &Mutex<Vec<Batch>>) -> Vec<u64> {
        let told = told.lock().unwrap();
        let mut tags: Vec<u64> =
            told.iter().flat_map(|batch| batch.acked_up_to.into_iter().chain(batch.acked.iter().copied())).collect();
        tags.sort_unstable();
        tags
    }

    #[tokio::test(start_paused = true)]
    async fn an_ack_behind_a_delivery_that_is_held_is_told_soon_with_any_prefetch() {
        for prefetch in [1, 2, 7, 8, 200] {
            let (acks, told) = acks(prefetch, 2);
            let telling = begin_telling(&acks).await;
            acks.settle(2, Settlement::Ack);
            tokio::time::sleep(GATHER * 4).await;
            assert_eq!(told_of(&told), [2], "prefetch {prefetch}");
            telling.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_retires_is_done_with_its_last_settlement_with_any_prefetch() {
        for prefetch in [1, 2, 7, 8, 200] {
            let (acks, told) = acks(prefetch, 1);
            let telling = begin_telling(&acks).await;
            acks.retire();
            tokio::time::sleep(GATHER * 4).await;
            assert!(!telling.is_finished(), "one is held");
            acks.settle(1, Settlement::Ack);
            assert!(timeout(LONG, telling).await.is_ok(), "prefetch {prefetch}");
            assert_eq!(told_of(&told), [1]);
        }
    }

    #[test]
    fn who_fills_a_batch_tells_it() {
        let (acks, told) = acks(u16::MAX, 2 * BATCH);
        for tag in 1..=2 * BATCH as u64 {
            acks.settle(tag, Settlement::Ack);
        }
        assert_eq!(told_of(&told), [BATCH as u64, 2 * BATCH as u64]);
    }

    #[test]
    fn what_is_flushed_is_told_once() {
        let (acks, told) = acks(200, 30);
        (1..=30).for_each(|tag| acks.settle(tag, Settlement::Ack));
        assert!(told_of(&told).is_empty());
        acks.flush();
        acks.flush();
        assert_eq!(told_of(&told), [30]);
    }

    #[tokio::test(start_paused = true)]
    async fn few_wait_for_more_though_they_are_flushed() {
        let (acks, told) = acks(200, 3);
        let telling = begin_telling(&acks).await;
        (1..=3).for_each(|tag| acks.settle(tag, Settlement::Ack));
        acks.flush();
        assert!(told_of(&told).is_empty());
        tokio::time::sleep(GATHER * 4).await;
        assert_eq!(told_of(&told), [3]);
        telling.abort();
    }

    #[test]
    fn nothing_is_told_of_a_channel_that_is_gone() {
        let (acks, told) = acks(1, 1);
        acks.die();
        acks.settle(1, Settlement::Ack);
        assert!(told_of(&told).is_empty());
    }
}
