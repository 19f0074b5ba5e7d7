//! Messages that had nowhere to go when they were due: brought to their queue once it is there again.
//!
//! A classic queue is nowhere while its node is down, and what the delay levels hand on meanwhile goes to
//! [`topology::UNROUTABLE`]. The workers that consume a queue look there for what is its own: whenever they have subscribed,
//! and now and then.

use crate::{
    address::Address,
    delay,
    dial::Dialer,
    engine::Engine,
    error::Failure,
    session::{Events, Session},
    topology, wire,
};
use futures_util::future::join_all;
use lapin::{
    Channel, Connection,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};
use taskq_core::{BrokerError, Origin, Publish};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Between looks, at first and at most. What is found makes the next look come soon.
const PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// Workers that subscribe together do not look all at once.
const JITTER: Duration = Duration::from_millis(500);
/// How long one look may take: what it has seen and left is nobody else's meanwhile.
const LOOK: Duration = Duration::from_secs(20);
/// So many are brought to their queues at once.
const TOGETHER: usize = 100;
/// For bringing one message to its queue.
const WITHIN: Duration = Duration::from_secs(5);

/// A message, and the queue that it was on its way to.
type Stray = (String, BasicGetMessage);

/// Which queues' strays are looked for.
pub(crate) struct Strays {
    addresses: Vec<Address>,
    connection_name: String,
    queues: Mutex<BTreeSet<String>>,
    wanted: Notify,
}

impl Strays {
    pub(crate) fn new(addresses: Vec<Address>, connection_name: String) -> Strays {
        Strays { addresses, connection_name, queues: Mutex::default(), wanted: Notify::new() }
    }

    /// A queue is consumed from now on, or is there again.
    pub(crate) fn look_for(&self, queue: &str) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if !queues.contains(queue) {
            queues.insert(queue.to_owned());
        }
        self.wanted.notify_one();
    }

    /// The queue that a message was on its way to, if it is one of ours.
    fn target(&self, routing_key: &str) -> Option<String> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        match delay::target(routing_key) {
            Some(queue) => queues.contains(queue).then(|| queue.to_owned()),
            None => queues.contains(routing_key).then(|| format!("{routing_key}.dead")),
        }
    }

    /// Looks for strays until the broker is closed or dropped.
    pub(crate) async fn keep_looking(self: Arc<Self>, engine: Weak<Engine>, closing: CancellationToken) {
        let mut pause = PAUSES.1;
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = self.wanted.notified() => {}
                () = sleep(pause) => {}
            }
            sleep(JITTER.mul_f64(fastrand::f64())).await;
            let Some(engine) = engine.upgrade() else { return };
            let looked = closing.run_until_cancelled(self.look(&engine)).await;
            pause = match looked {
                Some(Ok(0)) => (pause * 2).clamp(PAUSES.0, PAUSES.1),
                Some(Ok(found)) => {
                    tracing::info!(found, "messages that had nowhere to go were brought to their queues");
                    PAUSES.0
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "no look for messages that have nowhere to go; trying again");
                    PAUSES.0
                }
                None => return,
            };
        }
    }

    /// How many were brought to their queues.
    async fn look(&self, engine: &Engine) -> Result<usize, BrokerError> {
        match engine.inspect(topology::UNROUTABLE.to_owned()).await {
            Ok(info) if info.ready > 0 => {}
            Ok(_) | Err(BrokerError::Unroutable { .. }) => return Ok(0),
            Err(error) => return Err(error),
        }
        // A connection of its own: RabbitMQ 3.10 ends one on which a quorum queue without a leader is asked for a message.
        let (connection, events, address) = self.dial().await?;
        let session = Session::new(0, address, connection);
        let swept = tokio::select! {
            swept = self.sweep(&session, engine) => swept.map_err(|error| BrokerError::other(error.to_string())),
            () = session.watch(events) => Err(BrokerError::other("the connection was lost")),
        };
        let _ = timeout(WITHIN, session.close()).await;
        swept
    }

    async fn dial(&self) -> Result<(Connection, Events, String), Failure> {
        let mut last = Failure::Unreachable { address: String::new(), reason: "no address is given".into() };
        for address in self
            .addresses
            .iter()
            .cycle()
            .skip(fastrand::usize(..self.addresses.len().max(1)))
            .take(self.addresses.len())
        {
            match Dialer::direct(address.clone(), self.connection_name.clone()).dial().await {
                Ok((connection, events)) => return Ok((connection, events, address.shown())),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Takes what lies there one by one. What is not ours goes back to its place with the connection.
    async fn sweep(&self, session: &Session, engine: &Engine) -> Result<usize, lapin::Error> {
        let channel = session.guard(session.channel()).await?;
        let (began, mut found, mut is_over) = (Instant::now(), 0, false);
        while !is_over && began.elapsed() < LOOK {
            let ours;
            (ours, is_over) = self.gather(session, &channel).await?;
            let brought = ours.into_iter().map(|(queue, stray)| self.bring(engine, queue, stray, &channel));
            found += join_all(brought).await.into_iter().filter(|brought| *brought).count();
        }
        Ok(found)
    }

    /// Some that are ours, each with its queue, and whether there are no more.
    async fn gather(&self, session: &Session, channel: &Channel) -> Result<(Vec<Stray>, bool), lapin::Error> {
        let (began, mut ours) = (Instant::now(), Vec::new());
        while ours.len() < TOGETHER && began.elapsed() < LOOK {
            let Some(stray) = get(session, channel).await? else { return Ok((ours, true)) };
            ours.extend(self.target(stray.routing_key.as_str()).map(|queue| (queue, stray)));
        }
        Ok((ours, false))
    }

    /// Whether it was brought to its queue. If that is not certain it stays, and may be brought there again.
    async fn bring(&self, engine: &Engine, queue: String, stray: BasicGetMessage, channel: &Channel) -> bool {
        let delivery = stray.delivery;
        let (content, epitaph) = wire::content(&delivery.properties, delivery.data.into());
        let publish = Publish::new(queue.as_str(), content).epitaph(epitaph).origin(Origin::Worker).within(WITHIN);
        if let Err(error) = engine.publish(publish).await {
            tracing::debug!(queue, %error, "a message that had nowhere to go stays where it is");
            return false;
        }
        let acked = channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await;
        acked.is_ok()
    }
}

async fn get(session: &Session, channel: &Channel) -> Result<Option<BasicGetMessage>, lapin::Error> {
    session.guard(channel.basic_get(topology::UNROUTABLE.into(), BasicGetOptions::default())).await
}
