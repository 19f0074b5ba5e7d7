//! One subscription on one channel, from the prefetch to the last settlement.

use super::{
    Item,
    acks::{Acks, Settler},
    quiet::Quiet,
};
use crate::{delay, session::Session, wire};
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Error,
    message::Delivery as Received,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use std::{num::NonZeroU16, sync::Arc};
use taskq_core::{Delivery, Settle};
use tokio::{sync::mpsc, task::JoinHandle};

/// Keeps the broker's runtime alive as long as somebody settles or consumes.
pub(super) type Keep = Arc<dyn Send + Sync>;

/// So many deliveries are handed over at once at most.
const TOGETHER: usize = 256;

pub(super) struct Epoch {
    session: Arc<Session>,
    channel: Arc<Channel>,
    consumer: lapin::Consumer,
    acks: Arc<Acks>,
    settle: Arc<dyn Settle>,
    telling: JoinHandle<()>,
}

/// How an epoch's deliveries ended.
pub(super) enum End {
    /// The channel or its connection is gone.
    Lost(Option<Error>),
    /// The server cancelled the consumer: the queue was deleted, or its node is down.
    Cancelled,
    /// The server has delivered nothing for some time, though it may have something.
    Quiet,
    /// Nobody takes deliveries any more.
    Stopped,
}

impl Epoch {
    /// Subscribes.
    pub(super) async fn begin(
        session: Arc<Session>,
        queue: &str,
        prefetch: NonZeroU16,
        keep: Keep,
    ) -> Result<Epoch, Error> {
        let (channel, consumer) = session.guard(subscribe(&session, queue, prefetch)).await?;
        let acks = Arc::new(Acks::new(prefetch));
        #[cfg(taskq_bug = "ack_across_epochs")]
        super::acks::newest().replace(acks.clone());
        let settle = Arc::new(Settler { acks: acks.clone(), _alive: keep });
        let telling = tokio::spawn(tell_all(acks.clone(), channel.clone(), session.clone()));
        Ok(Epoch { session, channel, consumer, acks, settle, telling })
    }

    /// Passes deliveries on, until they end.
    pub(super) async fn deliver(&mut self, batches: &mpsc::Sender<Vec<Item>>) -> End {
        let session = self.session.clone();
        let died = session.died();
        let closed = batches.closed();
        let mut quiet = Quiet::new();
        tokio::pin!(died, closed);
        loop {
            let received = tokio::select! {
                biased;
                () = &mut closed => return End::Stopped,
                received = self.consumer.next() => received,
                () = &mut died => return End::Lost(None),
                () = quiet.lasts(&self.acks) => return End::Quiet,
            };
            quiet.broken();
            let mut batch = Vec::new();
            let end = self.gather(received, &mut batch);
            // Dropped when nobody takes it any more, which gives it back.
            if !batch.is_empty() && batches.send(batch).await.is_err() {
                return End::Stopped;
            }
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Adds what was received, and whatever else has come by now.
    fn gather(&mut self, received: Option<Result<Received, Error>>, batch: &mut Vec<Item>) -> Option<End> {
        let mut next = Some(received);
        while let Some(received) = next {
            match received {
                Some(Ok(received)) => batch.push(self.item(received)),
                Some(Err(error)) => return Some(End::Lost(Some(error))),
                None => return Some(End::Cancelled),
            }
            next = if batch.len() < TOGETHER { self.consumer.next().now_or_never() } else { None };
        }
        None
    }

    fn item(&self, received: Received) -> Item {
        self.acks.deliver();
        let is_due = delay::is_kept(received.routing_key.as_str());
        let (content, epitaph) = wire::content(&received.properties, received.data.into());
        let delivery = Delivery::new(content, received.redelivered, received.delivery_tag, self.settle.clone());
        let delivery = delivery.with_epitaph(epitaph).with_line(self.acks.line());
        Item {
            delivery: delivery.with_sent_after(self.session.heard()).with_delay_kept(is_due),
            acks: self.acks.clone(),
        }
    }

    /// The channel is gone: settling does nothing any more, and the same messages come again.
    pub(super) fn lose(self) {
        self.acks.die();
    }

    /// Takes nothing more, gives back what was not taken, and closes the channel once the rest is settled.
    pub(super) async fn retire(mut self, is_cancelled: bool) {
        if !is_cancelled {
            self.cancel().await;
        }
        self.acks.retire();
        // Ended by the channel's death too.
        let _ = (&mut self.telling).await;
        self.close_channel().await;
    }

    /// Tells what is settled, and leaves the rest to come again.
    pub(super) async fn close(mut self) {
        self.cancel().await;
        self.acks.close();
        let _ = (&mut self.telling).await;
        self.acks.die();
        self.close_channel().await;
    }

    /// Handles to what closing needs, for the time when the epoch itself is retiring.
    pub(super) fn acks(&self) -> Arc<Acks> {
        self.acks.clone()
    }

    async fn cancel(&mut self) {
        let cancelling = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        if let Err(error) = self.session.guard(cancelling).await {
            tracing::debug!(%error, "the consumer's channel was gone before it was cancelled");
            return self.acks.die();
        }
        // What came before the server knew.
        while let Ok(Some(received)) = self.session.guard(self.consumer.next().map(Option::transpose)).await {
            drop(self.item(received));
        }
    }

    async fn close_channel(&self) {
        if let Err(error) = self.session.guard(self.channel.close(200, "done".into())).await {
            tracing::debug!(%error, "the consumer's channel was gone before it was closed");
        }
    }
}

/// The prefetch is asked for first: what comes before it has no bound.
async fn subscribe(
    session: &Session,
    queue: &str,
    prefetch: NonZeroU16,
) -> Result<(Arc<Channel>, lapin::Consumer), Error> {
    let channel = Arc::new(session.channel().await?);
    channel.basic_qos(prefetch.get(), BasicQosOptions { global: false }).await?;
    let name = ShortString::try_new(queue).unwrap_or_default();
    let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
    let consumer = channel.basic_consume(name, tag, options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

async fn tell_all(acks: Arc<Acks>, channel: Arc<Channel>, session: Arc<Session>) {
    tokio::select! {
        () = acks.tell_all(&channel) => {}
        () = session.died() => acks.die(),
    }
}
