//! One subscription on one channel, from the prefetch to the last settlement.

use super::{
    acks::{self, Acks, Settler},
    arrivals::Arrivals,
    intake::{Descent, Feed},
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

/// The name of each consumer on its channel, which has no other. Every delivery carries it: one that the server chooses has 31 bytes.
const TAG: &str = "taskq";

/// Keeps the broker's runtime alive as long as somebody settles or consumes.
pub(super) type Keep = Arc<dyn Send + Sync>;

pub(super) struct Epoch {
    channel: Arc<Channel>,
    consumer: lapin::Consumer,
    descent: Descent,
    arrivals: Arrivals,
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
        let arrivals = Arrivals::new(session.heard(), prefetch);
        let (channel, consumer) = session.guard(subscribe(&session, queue, prefetch)).await?;
        // Not the channel itself: it would stay open as long as a delivery of it is held.
        let there = Arc::downgrade(&channel);
        let acks = Arc::new(Acks::new(prefetch, move |batch| acks::hand_over(&there, batch)));
        #[cfg(taskq_bug = "ack_across_epochs")]
        super::acks::newest().replace(acks.clone());
        let settle = Arc::new(Settler { acks: acks.clone(), _alive: keep });
        let telling = tokio::spawn(tell_the_rest(acks.clone(), session.clone()));
        Ok(Epoch { channel, consumer, descent: Descent { session, acks, settle }, arrivals, telling })
    }

    /// Has deliveries taken, until they end.
    pub(super) async fn deliver(&self, feed: &Feed) -> End {
        let (mut quiet, session) = (Quiet::default(), self.descent.session.clone());
        let mut offered = feed.offer(self.consumer.clone(), self.descent.clone(), self.arrivals.clone());
        loop {
            tokio::select! {
                biased;
                end = offered.ended() => return end,
                () = session.died() => return End::Lost(None),
                () = session.answered() => if let Some(end) = offered.look(&mut quiet) {
                    return end;
                },
            }
        }
    }

    /// The channel is gone: settling does nothing any more, and the same messages come again.
    pub(super) fn lose(self) {
        self.descent.acks.die();
    }

    /// Takes nothing more, gives back what was not taken, and closes the channel once the rest is settled.
    pub(super) async fn retire(mut self, is_cancelled: bool) {
        if !is_cancelled {
            self.cancel().await;
        }
        self.descent.acks.retire();
        // Ended by the channel's death too.
        let _ = (&mut self.telling).await;
        // Whoever still holds a delivery was not waited for.
        self.descent.acks.die();
        self.close_channel().await;
    }

    /// Tells what is settled, and leaves the rest to come again.
    pub(super) async fn close(mut self) {
        self.cancel().await;
        self.descent.acks.close();
        let _ = (&mut self.telling).await;
        self.descent.acks.die();
        self.close_channel().await;
    }

    /// Handles to what closing needs, for the time when the epoch itself is retiring.
    pub(super) fn acks(&self) -> Arc<Acks> {
        self.descent.acks.clone()
    }

    async fn cancel(&mut self) {
        let cancelling = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        if let Err(error) = self.descent.session.guard(cancelling).await {
            tracing::debug!(%error, "the consumer's channel was gone before it was cancelled");
            return self.descent.acks.die();
        }
        // What came before the server knew. It is all here: lapin takes in one frame after the other.
        while let Some(Some(Ok(received))) = self.consumer.next().now_or_never() {
            let sent_after = self.descent.session.heard();
            drop(self.descent.delivery(received, sent_after));
        }
    }

    async fn close_channel(&self) {
        if let Err(error) = self.descent.session.guard(self.channel.close(200, "done".into())).await {
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
    let (tag, options) = (TAG.into(), BasicConsumeOptions::default());
    let consumer = channel.basic_consume(name, tag, options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

async fn tell_the_rest(acks: Arc<Acks>, session: Arc<Session>) {
    tokio::select! {
        () = acks.tell_the_rest() => {}
        () = session.died() => acks.die(),
    }
}
