//! Private RabbitMQ nodes do what their names say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use futures_util::StreamExt;
use lapin::{
    options::{BasicConsumeOptions, BasicPublishOptions},
    types::FieldTable,
};
use std::{fs, time::Duration};
use support::hangs;
use taskq_faults::{
    rabbit::{Alarm, Client, Rabbit, Settings},
    wait::{ended, eventually},
};

/// One node for all of it: starting one takes long.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_killed_stopped_frozen_and_put_under_alarm() {
    let mut node = Rabbit::start().await.unwrap();
    let comm = fs::read_to_string(format!("/proc/{}/comm", node.process_id().unwrap())).unwrap();
    assert!(comm.starts_with("beam"), "signals go to {comm}");
    it_keeps_its_data_and_its_port(&mut node).await;
    frozen_it_answers_nobody_and_thawed_it_goes_on(&node).await;
    it_says_what_it_is_asked(&node).await;
    under_alarm_it_confirms_nothing(&node, Alarm::Memory).await;
    under_alarm_it_confirms_nothing(&node, Alarm::Disk).await;
    a_frozen_one_is_killed(node);
}

async fn it_keeps_its_data_and_its_port(node: &mut Rabbit) {
    let url = node.url();
    let client = Client::named(&url, "before").await;
    client.declare_quorum("kept").await;
    client.publish_at_last("kept", "one").await;
    node.sync().await.unwrap();
    node.kill();
    assert!(!node.is_running());
    assert!(node.freeze().is_err() && node.stop().await.is_err());
    node.run().await.unwrap();
    assert!(node.run().await.is_err(), "it runs already");
    assert_eq!(node.url(), url);
    let client = Client::named(&url, "between").await;
    client.publish_at_last("kept", "two").await;
    node.stop().await.unwrap();
    node.run().await.unwrap();
    assert_eq!(Client::named(&url, "after").await.look_into("kept").await, ["one", "two"]);
}

async fn frozen_it_answers_nobody_and_thawed_it_goes_on(node: &Rabbit) {
    let client = Client::named(&node.url(), "patient").await;
    let queue = client.declare_passing().await;
    node.freeze().unwrap();
    let mut publish = Box::pin(client.publish(&queue, "one"));
    assert!(hangs(&mut publish).await);
    node.thaw().unwrap();
    assert!(ended(publish).await.unwrap());
    assert!(client.connection.status().connected());
}

async fn it_says_what_it_is_asked(node: &Rabbit) {
    assert_eq!(node.eval("lists:sum([1, 2, 3])").await.unwrap(), "6");
    let error = node.eval("no_such_module:f()").await.unwrap_err();
    assert!(error.to_string().contains("no_such_module"), "{error}");
    let queues = node.ctl(&["list_queues", "name", "type"]).await.unwrap();
    assert!(queues.lines().any(|line| line == "kept\tquorum"), "{queues}");
    let error = node.ctl(&["no_such_command"]).await.unwrap_err();
    assert!(error.to_string().contains("no_such_command"), "{error}");
}

async fn under_alarm_it_confirms_nothing(node: &Rabbit, alarm: Alarm) {
    let client = Client::named(&node.url(), "publisher").await;
    let queue = client.declare_passing().await;
    node.set_alarm(alarm, true).await.unwrap();
    // The server takes the first publish of a connection and then stops reading.
    let mut publishes = Box::pin(async {
        for body in ["one", "two", "three"] {
            assert!(client.publish(&queue, body).await.unwrap());
        }
    });
    assert!(hangs(&mut publishes).await, "{alarm:?}");
    node.set_alarm(alarm, false).await.unwrap();
    ended(publishes).await;
}

fn a_frozen_one_is_killed(node: Rabbit) {
    node.freeze().unwrap();
    let process = node.process_id().unwrap();
    drop(node);
    assert!(!fs::exists(format!("/proc/{process}")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_held_for_longer_than_the_consumer_timeout_ends_its_channel() {
    let node = Settings::new().consumer_timeout(Duration::from_secs(2)).start().await.unwrap();
    let client = Client::named(&node.url(), "slow").await;
    client.declare_quorum("slow").await;
    client.publish_at_last("slow", "one").await;
    let options = BasicConsumeOptions::default();
    let mut consumer =
        client.channel.basic_consume("slow".into(), "".into(), options, FieldTable::default()).await.unwrap();
    let _held = ended(consumer.next()).await.unwrap().unwrap();
    eventually("the channel is closed", async || !client.channel.status().connected()).await;
    let refused =
        client.channel.basic_publish("".into(), "slow".into(), BasicPublishOptions::default(), b"", Default::default());
    assert!(refused.await.is_err());
    assert!(client.connection.status().connected());
}

#[tokio::test]
async fn a_node_that_cannot_start_shows_its_log() {
    let error = Settings::new().conf("no.such.key", "1").start().await.unwrap_err();
    assert!(error.to_string().contains("no.such.key"), "{error}");
}
