//! The one subscription of a process: it turns messages on the process's channel into wakes.

use crate::{connection::CONNECT_LIMIT, link::pause, live::Shared, trouble::Trouble};
use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use std::{sync::Arc, time::Duration};
use taskq_core::TaskId;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

/// A subscription that was silent this long is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(15);
/// How long it may take to answer that.
const CONFIRM_LIMIT: Duration = Duration::from_secs(4);

/// What others know of the subscription.
#[derive(Default)]
pub(crate) struct Subscription {
    /// Whether it was made once.
    pub(crate) made: watch::Sender<bool>,
    closing: Notify,
}

impl Subscription {
    /// Ends the connection; a new one is made when something is waited for.
    pub(crate) fn disconnect(&self) {
        self.closing.notify_waiters();
    }
}

/// Listens while anything is waited for, over all losses of the connection. Does not end by itself.
pub(crate) async fn listen(shared: Arc<Shared>) {
    let mut failures: u32 = 0;
    loop {
        shared.waiters.any().await;
        sleep(pause(failures)).await;
        match timeout(CONNECT_LIMIT, Ear::open(&shared)).await.unwrap_or_else(|_| Err(Trouble::no_answer())) {
            Ok(ear) => {
                failures = 1;
                // Whatever was published before was not heard.
                shared.waiters.wake_all();
                shared.subscription.made.send_replace(true);
                tokio::select! {
                    () = hear(&shared, ear) => {}
                    () = shared.subscription.closing.notified() => {}
                }
                tracing::debug!(address = %shared.link.address(), "the subscription for results has ended");
            }
            Err(trouble) => {
                // Once per outage, not once per try.
                if failures == 1 {
                    tracing::warn!(
                        address = %shared.link.address(),
                        error = %trouble,
                        "no subscription to the result store: waits look for their results by themselves; trying again"
                    );
                }
                failures = failures.saturating_add(1);
            }
        }
    }
}

/// One subscription to the process's channel, while it lasts.
enum Ear {
    Server(Box<PubSubSink>, Box<PubSubStream>),
    #[cfg(feature = "cluster")]
    Cluster(Box<crate::cluster::ShardSubscription>),
}

impl Ear {
    async fn open(shared: &Shared) -> Result<Self, Trouble> {
        #[cfg(feature = "tls")]
        crate::connection::choose_crypto();
        let (address, channel) = (shared.link.address(), shared.keys.wake(&shared.process));
        #[cfg(feature = "cluster")]
        if let Some(nodes) = address.nodes() {
            let subscription = crate::cluster::ShardSubscription::open(nodes, channel).await?;
            return Ok(Ear::Cluster(Box::new(subscription)));
        }
        let (mut sink, stream) = address.client()?.get_async_pubsub().await?.split();
        sink.subscribe(channel).await?;
        Ok(Ear::Server(Box::new(sink), Box::new(stream)))
    }

    /// The next message; `None` when there will be no more.
    async fn next(&mut self) -> Option<Vec<u8>> {
        match self {
            Ear::Server(_, stream) => stream.next().await.map(|message| message.get_payload_bytes().to_vec()),
            #[cfg(feature = "cluster")]
            Ear::Cluster(subscription) => subscription.next().await,
        }
    }

    async fn confirm(&mut self) -> Result<(), Trouble> {
        match self {
            Ear::Server(sink, _) => sink.ping::<redis::Value>().await.map(drop).map_err(Trouble::from),
            #[cfg(feature = "cluster")]
            Ear::Cluster(subscription) => subscription.confirm().await,
        }
    }
}

/// Passes wakes on until the subscription is lost.
async fn hear(shared: &Shared, mut ear: Ear) {
    loop {
        match timeout(SILENCE, ear.next()).await {
            Ok(Some(message)) => {
                if let Ok(id) = std::str::from_utf8(&message) {
                    shared.waiters.wake(&TaskId::from(id));
                }
            }
            Ok(None) => return,
            Err(_) => match timeout(CONFIRM_LIMIT, ear.confirm()).await {
                Ok(Ok(())) => {}
                _ => return,
            },
        }
    }
}
