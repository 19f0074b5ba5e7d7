//! The one subscription of a process: it turns messages on the process's channel into wakes.

use crate::{
    link::{CONNECT_LIMIT, pause},
    live::Shared,
    trouble::Trouble,
};
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
const PONG_LIMIT: Duration = Duration::from_secs(4);

/// What others know of the subscription.
#[derive(Default)]
pub(crate) struct Subscription {
    /// How often it was made. Whatever was published before the last of these was not heard.
    pub(crate) made: watch::Sender<u64>,
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
        match timeout(CONNECT_LIMIT, subscribe(&shared)).await.unwrap_or_else(|_| Err(Trouble::no_answer())) {
            Ok((sink, stream)) => {
                failures = 1;
                shared.subscription.made.send_modify(|made| *made += 1);
                tokio::select! {
                    () = hear(&shared, sink, stream) => {}
                    () = shared.subscription.closing.notified() => {}
                }
                tracing::debug!(address = %shared.link.address(), "the subscription for results has ended");
            }
            Err(trouble) => {
                failures = failures.saturating_add(1);
                tracing::debug!(address = %shared.link.address(), ?trouble, "no subscription for results; trying again");
            }
        }
    }
}

async fn subscribe(shared: &Shared) -> Result<(PubSubSink, PubSubStream), Trouble> {
    #[cfg(feature = "tls")]
    crate::link::choose_crypto();
    let (mut sink, stream) = shared.link.address().client()?.get_async_pubsub().await?.split();
    sink.subscribe(shared.keys.wake(&shared.process)).await?;
    Ok((sink, stream))
}

/// Passes wakes on until the connection is lost.
async fn hear(shared: &Shared, mut sink: PubSubSink, mut stream: PubSubStream) {
    loop {
        match timeout(SILENCE, stream.next()).await {
            Ok(Some(message)) => {
                if let Ok(id) = std::str::from_utf8(message.get_payload_bytes()) {
                    shared.waiters.wake(&TaskId::from(id));
                }
            }
            Ok(None) => return,
            Err(_) => match timeout(PONG_LIMIT, sink.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                _ => return,
            },
        }
    }
}
