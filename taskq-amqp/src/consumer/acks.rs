//! Settling on one channel: settlements are taken over at once, and the server is told in batches. Whoever fills a batch tells
//! it, and a task of the channel's own tells what is left over.

use super::ledger::{Batch, Ledger};
use futures_util::FutureExt;
use lapin::{
    Channel, Error,
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

/// So many are told at once.
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
    /// Hands over to the connection.
    tell: Box<Tell>,
    changed: Notify,
    /// What is left over is not to wait.
    hurry: Notify,
}

type Tell = dyn Fn(Batch) -> Result<(), Error> + Send + Sync;

impl Acks {
    pub(super) fn new(prefetch: NonZeroU16, tell: impl Fn(Batch) -> Result<(), Error> + Send + Sync + 'static) -> Acks {
        // With a small prefetch the next delivery waits for the ack of the last.
        let batch = usize::from(prefetch.get() / 4).clamp(1, BATCH);
        Acks {
            ledger: Mutex::default(),
            batch,
            is_current: AtomicBool::new(true),
            lost: CancellationToken::new(),
            line: Line::new(),
            is_closing: AtomicBool::new(false),
            tell: Box::new(tell),
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
        self.lost.cancel();
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
            if self.is_current() {
                let _ = timeout(GATHER, self.hurry.notified()).await;
            }
            self.tell();
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
        if ledger.untold() < self.batch {
            self.changed.notify_one();
        } else {
            self.tell_of(ledger);
        }
    }

    /// Tells the server what there is to tell.
    pub(super) fn tell(&self) {
        self.tell_of(self.ledger());
    }

    /// Under the lock: an ack of many that overtook a requeue among them would lose its message.
    fn tell_of(&self, mut ledger: MutexGuard<'_, Ledger>) {
        let told = (self.tell)(ledger.take(!self.is_current()));
        drop(ledger);
        if let Err(error) = told {
            tracing::debug!(%error, "settlements were lost with their channel; their messages come again");
            self.die();
        }
    }

    fn counts(&self) -> (usize, u64) {
        let ledger = self.ledger();
        (ledger.untold(), ledger.unsettled())
    }
}

/// Hands `batch` over to the connection, in its order. What is not written when the connection ends comes again.
pub(super) fn tell(channel: &Channel, batch: Batch) -> Result<(), Error> {
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
}
