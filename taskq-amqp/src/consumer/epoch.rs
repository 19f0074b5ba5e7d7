//! One subscription on one channel, from the prefetch to the last settlement.

use super::{
    acks::{self, Acks, Settler},
    intake::{Feed, Origin},
    quiet::Quiet,
};
use crate::session::Session;
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Error,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use std::{num::NonZeroU16, sync::Arc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Keeps the broker's runtime alive as long as somebody settles or consumes.
pub(super) type Keep = Arc<dyn Send + Sync>;

pub(super) struct Epoch {
    channel: Arc<Channel>,
    consumer: lapin::Consumer,
    origin: Origin,
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
        let told = channel.clone();
        let acks = Arc::new(Acks::new(prefetch, move |batch| acks::tell(&told, batch)));
        #[cfg(taskq_bug = "ack_across_epochs")]
        super::acks::newest().replace(acks.clone());
        let settle = Arc::new(Settler { acks: acks.clone(), _alive: keep });
        let telling = tokio::spawn(tell_the_rest(acks.clone(), session.clone()));
        Ok(Epoch { channel, consumer, origin: Origin { session, acks, settle }, telling })
    }

    /// Has deliveries taken, until they end.
    pub(super) async fn deliver(&mut self, feed: &Feed, stop: &CancellationToken) -> End {
        let mut quiet = Quiet::new();
        let mut offered = feed.offer(self.consumer.clone(), self.origin.clone());
        tokio::select! {
            biased;
            () = stop.cancelled() => End::Stopped,
            end = offered.ended() => end,
            () = self.origin.session.died() => End::Lost(None),
            () = quiet.lasts(&self.origin.acks) => End::Quiet,
        }
    }

    /// The channel is gone: settling does nothing any more, and the same messages come again.
    pub(super) fn lose(self) {
        self.origin.acks.die();
    }

    /// Takes nothing more, gives back what was not taken, and closes the channel once the rest is settled.
    pub(super) async fn retire(mut self, is_cancelled: bool) {
        if !is_cancelled {
            self.cancel().await;
        }
        self.origin.acks.retire();
        // Ended by the channel's death too.
        let _ = (&mut self.telling).await;
        self.close_channel().await;
    }

    /// Tells what is settled, and leaves the rest to come again.
    pub(super) async fn close(mut self) {
        self.cancel().await;
        self.origin.acks.close();
        let _ = (&mut self.telling).await;
        self.origin.acks.die();
        self.close_channel().await;
    }

    /// Handles to what closing needs, for the time when the epoch itself is retiring.
    pub(super) fn acks(&self) -> Arc<Acks> {
        self.origin.acks.clone()
    }

    async fn cancel(&mut self) {
        let cancelling = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        if let Err(error) = self.origin.session.guard(cancelling).await {
            tracing::debug!(%error, "the consumer's channel was gone before it was cancelled");
            return self.origin.acks.die();
        }
        // What came before the server knew.
        while let Ok(Some(received)) = self.origin.session.guard(self.consumer.next().map(Option::transpose)).await {
            drop(self.origin.delivery(received));
        }
    }

    async fn close_channel(&self) {
        if let Err(error) = self.origin.session.guard(self.channel.close(200, "done".into())).await {
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

async fn tell_the_rest(acks: Arc<Acks>, session: Arc<Session>) {
    tokio::select! {
        () = acks.tell_the_rest() => {}
        () = session.died() => acks.die(),
    }
}
