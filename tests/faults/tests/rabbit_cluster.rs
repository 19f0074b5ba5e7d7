//! Three private RabbitMQ nodes with a quorum queue. The only test of its binary: it takes what the machine has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};
use taskq_faults::{
    rabbit::{Client, Cluster, Settings},
    wait::{ended, eventually},
};

/// The node that a client should talk to while this one is away.
fn beside(node: usize) -> usize {
    (node + 1) % Cluster::SIZE
}

/// On a connection of its own: RabbitMQ 3.10 confirms nothing any more on a channel that has published to a frozen leader,
/// be it for ever and with a new leader there.
async fn is_confirmed(url: &str, body: &str) -> bool {
    let publish = async { Client::named(url, "anew").await.publish("work", body).await.unwrap() };
    tokio::time::timeout(Duration::from_secs(2), publish).await.is_ok_and(|confirmed| confirmed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_outlives_one_node_and_waits_for_the_second() {
    let began = Instant::now();
    let mut cluster = Cluster::start(&Settings::new()).await.unwrap();
    println!("three nodes after {:?}", began.elapsed());
    let client = Client::named(&cluster.urls()[0], "first").await;
    client.declare_quorum("work").await;
    client.publish_at_last("work", "before").await;

    let first = cluster.leader_of("work").await.unwrap();
    for node in cluster.nodes() {
        node.sync().await.unwrap();
    }
    cluster.node_mut(first).kill();
    let killed = Instant::now();
    let second = cluster.leader_of("work").await.unwrap();
    println!("the next leader {:?} after a kill", killed.elapsed());
    assert_ne!(first, second);
    let client = ended(Client::named_at_last(&cluster.urls()[second], "second")).await;
    client.publish_at_last("work", "leader killed").await;
    cluster.run_all().await.unwrap();

    let leader = cluster.leader_of("work").await.unwrap();
    cluster.node_mut(leader).freeze().unwrap();
    let frozen = Instant::now();
    let url = &cluster.urls()[beside(leader)];
    eventually("a publish is confirmed", async || is_confirmed(url, "leader frozen").await).await;
    println!("a publish was confirmed {:?} after its leader was frozen", frozen.elapsed());
    cluster.run_all().await.unwrap();

    let leader = cluster.leader_of("work").await.unwrap();
    let survivor = beside(leader);
    let client = ended(Client::named_at_last(&cluster.urls()[survivor], "fourth")).await;
    cluster.node_mut(leader).stop().await.unwrap();
    cluster.node_mut(beside(survivor)).kill();
    let publish = async { client.publish("work", "two away").await.is_ok_and(|confirmed| confirmed) };
    let confirmed = tokio::time::timeout(Duration::from_secs(2), publish).await;
    assert!(!confirmed.is_ok_and(|confirmed| confirmed), "one node of three confirmed a publish");
    cluster.run_all().await.unwrap();
    cluster.leader_of("work").await.unwrap();

    let client = ended(Client::named_at_last(&cluster.urls()[0], "last")).await;
    let kept = client.look_into("work").await;
    for confirmed in ["before", "leader killed", "leader frozen"] {
        assert!(kept.iter().any(|body| body == confirmed), "{confirmed} is not in {kept:?}");
    }
}
