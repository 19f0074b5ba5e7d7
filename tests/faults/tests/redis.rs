//! Private Redis servers do what their names say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, time::Duration};
use support::hangs;
use taskq_faults::{
    redis::{Cluster, Redis, Reply, Settings},
    wait::eventually,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn text(text: &str) -> Reply {
    Reply::Text(text.into())
}

#[tokio::test]
async fn a_server_keeps_its_data_and_its_port() {
    let mut redis = Redis::start().await.unwrap();
    let url = redis.url();
    redis.command(&["SET", "one", "1"]).await.unwrap();
    redis.kill();
    assert!(!redis.is_running());
    assert!(redis.command(&["GET", "one"]).await.is_err() && redis.stop().await.is_err());
    redis.run().await.unwrap();
    redis.command(&["SET", "two", "2"]).await.unwrap();
    redis.stop().await.unwrap();
    redis.run().await.unwrap();
    assert_eq!(redis.url(), url);
    let kept = redis.command(&["MGET", "one", "two", "three"]).await.unwrap();
    assert_eq!(kept, Reply::Many(vec![text("1"), text("2"), Reply::Nothing]));
}

#[tokio::test]
async fn a_server_without_its_log_comes_back_empty() {
    let mut redis = Settings::new().option("appendonly", "no").start().await.unwrap();
    redis.command(&["SET", "one", "1"]).await.unwrap();
    redis.kill();
    redis.run().await.unwrap();
    assert_eq!(redis.command(&["GET", "one"]).await.unwrap(), Reply::Nothing);
}

#[tokio::test]
async fn a_frozen_server_answers_when_it_is_thawed_and_is_killed_when_dropped() {
    let redis = Redis::start().await.unwrap();
    redis.freeze().unwrap();
    let mut ping = Box::pin(redis.command(&["PING"]));
    assert!(hangs(&mut ping).await);
    drop(ping);
    redis.thaw().unwrap();
    assert_eq!(redis.command(&["PING"]).await.unwrap(), text("PONG"));
    redis.freeze().unwrap();
    let process = redis.process_id().unwrap();
    drop(redis);
    assert!(!fs::exists(format!("/proc/{process}")).unwrap());
}

#[tokio::test]
async fn a_server_that_sleeps_answers_afterwards() {
    let redis = Redis::start().await.unwrap();
    redis.sleep(Duration::from_millis(1_500)).await.unwrap();
    let mut ping = Box::pin(redis.command(&["PING"]));
    assert!(hangs(&mut ping).await);
    assert_eq!(ping.await.unwrap(), text("PONG"));
}

#[tokio::test]
async fn subscribers_are_dropped_and_others_are_not() {
    let redis = Redis::start().await.unwrap();
    let mut subscriber = TcpStream::connect(redis.address()).await.unwrap();
    subscriber.write_all(b"SUBSCRIBE news\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(subscriber.read(&mut buffer).await.unwrap() > 0);
    let mut other = TcpStream::connect(redis.address()).await.unwrap();
    assert_eq!(redis.drop_subscribers().await.unwrap(), 1);
    assert_eq!(subscriber.read(&mut buffer).await.unwrap(), 0);
    other.write_all(b"PING\r\n").await.unwrap();
    assert!(other.read(&mut buffer).await.unwrap() > 0);
    assert_eq!(redis.drop_clients().await.unwrap(), 1);
    assert_eq!(other.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_log() {
    let error = Settings::new().option("no-such-option", "1").start().await.unwrap_err();
    assert!(error.to_string().contains("no-such-option"), "{error}");
}

#[tokio::test]
async fn a_cluster_is_whole_again_when_a_node_has_come_back() {
    let mut cluster = Cluster::start().await.unwrap();
    cluster.node_mut(1).kill();
    eventually("the others notice", async || {
        let info = cluster.nodes()[0].command(&["CLUSTER", "INFO"]).await.unwrap().text().unwrap();
        info.contains("cluster_state:fail")
    })
    .await;
    cluster.node_mut(1).run().await.unwrap();
    cluster.whole().await.unwrap();
}
