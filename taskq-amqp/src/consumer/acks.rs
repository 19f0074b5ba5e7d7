//! Settling on one channel: settlements are taken over at once, and the server is told in batches by a task of its own.

use super::ledger::{Batch, Ledger};
use futures_util::future::try_join_all;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
};
use std::{
    num::NonZeroU16,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use taskq_core::{Line, Settle, Settlement};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long a settlement waits for others to be told together with.
const GATHER: Duration = Duration::from_millis(5);

/// So many are told without waiting for more.
const BATCH: usize = 32;

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
    changed: Notify,
    full: Notify,
}

impl Acks {
    pub(super) fn new(prefetch: NonZeroU16) -> Acks {
        // With a small prefetch the next delivery waits for the ack of the last.
        let batch = usize::from(prefetch.get() / 4).clamp(1, BATCH);
        Acks {
            ledger: Mutex::default(),
            batch,
            is_current: AtomicBool::new(true),
            lost: CancellationToken::new(),
            line: Line::new(),
            is_closing: AtomicBool::new(false),
            changed: Notify::new(),
            full: Notify::new(),
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
        self.lost.cancel();
        self.line.cut();
        self.changed.notify_one();
    }

    /// Nothing more is waited for: what is settled is told, and the rest is left to come again.
    pub(super) fn close(&self) {
        self.retire();
        self.is_closing.store(true, Ordering::Release);
        self.changed.notify_one();
        self.full.notify_one();
    }

    /// Tells the server what there is to tell, until the channel dies or, once retired, all is settled.
    ///
    /// Nobody else tells: an ack of many that overtook a requeue among them would lose its message.
    pub(super) async fn tell_all(&self, channel: &Channel) {
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
                let _ = timeout(GATHER, self.full.notified()).await;
            }
            let batch = self.take();
            if let Err(error) = tell(channel, batch).await {
                tracing::debug!(%error, "settlements were lost with their channel; their messages come again");
                self.die();
            }
        }
    }

    /// Whether something was delivered, all of it is settled, and the server was told.
    pub(super) fn is_at_rest(&self) -> bool {
        let ledger = self.ledger();
        ledger.has_delivered() && ledger.untold() == 0 && ledger.unsettled() == 0
    }

    pub(super) fn settle(&self, tag: u64, settlement: Settlement) {
        let mut ledger = self.ledger();
        ledger.settle(tag, settlement);
        let untold = ledger.untold();
        drop(ledger);
        if untold >= self.batch {
            self.full.notify_one();
        }
        self.changed.notify_one();
    }

    /// What the server is to be told now.
    pub(super) fn take(&self) -> Batch {
        self.ledger().take(!self.is_current())
    }

    fn counts(&self) -> (usize, u64) {
        let ledger = self.ledger();
        (ledger.untold(), ledger.unsettled())
    }
}

async fn tell(channel: &Channel, batch: Batch) -> Result<(), lapin::Error> {
    try_join_all(batch.requeued.into_iter().map(|tag| channel.basic_nack(tag, REQUEUE))).await?;
    if let Some(tag) = batch.acked_up_to {
        channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
    }
    try_join_all(batch.acked.into_iter().map(|tag| channel.basic_ack(tag, BasicAckOptions::default()))).await?;
    Ok(())
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
}
