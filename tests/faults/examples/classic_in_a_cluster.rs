//! Shows, with nothing but lapin, what becomes of confirmed messages of a classic queue whose node stands still and comes back into
//! a divided cluster: `cargo run --package taskq-faults --example classic_in_a_cluster`. It starts three private nodes, and takes
//! two minutes for each of at most four rounds.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]

use futures_util::{StreamExt, TryStreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Error,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions},
    types::FieldTable,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use taskq_faults::rabbit::{Client, Cluster, Settings};
use tokio::time::{sleep, timeout};

const QUEUE: &str = "work";
/// Longer than the cluster's `net_ticktime` of 8 s.
const STANDSTILL: Duration = Duration::from_secs(15);
const AT_ONCE: usize = 20;
const ROUNDS: u32 = 4;

/// Bodies of messages.
#[derive(Clone, Default)]
struct Bodies(Arc<Mutex<BTreeSet<String>>>);

impl Bodies {
    fn add(&self, body: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(body);
    }

    fn get(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn channel(url: &str) -> Result<(Connection, Channel), Error> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

/// Persistent, mandatory, and counted only when confirmed without having been returned.
async fn publish(url: String, name: String, confirmed: Bodies, stop: Arc<AtomicBool>) {
    let mut connections = 0;
    while !stop.load(Ordering::Relaxed) {
        connections += 1;
        let prefix = format!("{name}, connection {connections}");
        // A connection that hangs is given up, and another one is made.
        let _ = timeout(STANDSTILL * 2, publish_on_one(&url, &prefix, &confirmed, &stop)).await;
        sleep(Duration::from_millis(300)).await;
    }
}

async fn publish_on_one(url: &str, prefix: &str, confirmed: &Bodies, stop: &AtomicBool) -> Result<(), Error> {
    let (_connection, channel) = channel(url).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let confirms = FuturesUnordered::new();
        for _ in 0..AT_ONCE {
            sent += 1;
            let body = format!("{prefix}, {sent}");
            let properties = persistent.clone();
            let confirm = channel.basic_publish("".into(), QUEUE.into(), options, body.as_bytes(), properties).await?;
            confirms.push(async move { confirm.await.map(|confirm| (body, confirm)) });
        }
        let confirms: Vec<_> = confirms.try_collect().await?;
        for (body, confirm) in confirms {
            if matches!(confirm, Confirmation::Ack(None)) {
                confirmed.add(body);
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn consume(url: String, received: Bodies) {
    loop {
        if let Err(error) = consume_on_one(&url, &received).await {
            eprintln!("a consumer begins again: {error}");
        }
        sleep(Duration::from_millis(300)).await;
    }
}

async fn consume_on_one(url: &str, received: &Bodies) -> Result<(), Error> {
    let (_connection, channel) = channel(url).await?;
    channel.basic_qos(50, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        received.add(String::from_utf8_lossy(&delivery.data).into_owned());
        delivery.acker.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut cluster = Cluster::start(&Settings::new()).await?;
    let urls = cluster.urls();
    // Its node is that of the client who declares it.
    Client::of(&urls[0]).await.declare(QUEUE, &[]).await;
    let (confirmed, received) = (Bodies::default(), Bodies::default());
    for url in &urls {
        tokio::spawn(consume(url.clone(), received.clone()));
    }
    for round in 1..=ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        for (node, url) in urls.iter().enumerate() {
            let name = format!("round {round}, by node {node}");
            tokio::spawn(publish(url.clone(), name, confirmed.clone(), stop.clone()));
        }
        sleep(Duration::from_secs(4)).await;
        cluster.node_mut(0).freeze()?;
        sleep(STANDSTILL).await;
        cluster.node_mut(0).thaw()?;
        sleep(Duration::from_secs(2)).await;
        cluster.node_mut(0).kill();
        sleep(Duration::from_secs(5)).await;
        cluster.run_all().await?;
        sleep(Duration::from_secs(12)).await;
        stop.store(true, Ordering::Relaxed);
        sleep(STANDSTILL * 3).await;
        let (confirmed, received) = (confirmed.get(), received.get());
        let lost: Vec<&String> = confirmed.difference(&received).collect();
        let left = Client::of(&urls[1]).await.ready(QUEUE).await;
        println!("round {round}: {} confirmed, {left} in the queue, {} lost", confirmed.len(), lost.len());
        if let (0, [first, .., last]) = (left, lost.as_slice()) {
            println!("from `{first}` to `{last}`");
            break;
        }
    }
    Ok(())
}
