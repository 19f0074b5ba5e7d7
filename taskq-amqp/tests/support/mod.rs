//! What the tests of this crate share: a server, names that nobody else uses, and a line to it that can be cut.

#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use lapin::types::AMQPValue;
use std::num::NonZeroU16;
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, Consumer, Content, ContentType, Delivery, Message, Publish, QueueSpec, TaskId};
use taskq_faults::{
    Proxy,
    rabbit::Client,
    shared::amqp_url,
    wait::{PATIENCE, ended},
};

/// What tests do to the test server behind the broker's back.
pub async fn operator() -> Client {
    Client::of(&amqp_url()).await
}

/// A line to the test server that can be spoiled.
pub fn line() -> Proxy {
    Proxy::amqp(&amqp_url()).unwrap()
}

/// The test server's address with another host and port, everything else unchanged.
pub fn amqp_url_at(host_and_port: &str) -> String {
    let url = amqp_url();
    let (before, rest) = url.split_once('@').expect("the test server's URL has a user");
    let vhost = rest.split_once('/').map_or("", |split| split.1);
    format!("{before}@{host_and_port}/{vhost}")
}

pub fn unique(label: &str) -> String {
    format!("amqp-test-{label}-{}", TaskId::new())
}

/// Runs `test` with a queue name of its own, and deletes that queue whatever comes of it, and those with `a.` before the
/// name or `.other` after it.
pub async fn with_queue<F: Future<Output = ()>>(label: &str, test: impl FnOnce(String) -> F) {
    use futures_util::FutureExt;
    let queue = unique(label);
    let end =
        std::panic::AssertUnwindSafe(tokio::time::timeout(PATIENCE * 2, test(queue.clone()))).catch_unwind().await;
    let operator = operator().await;
    for queue in [format!("a.{queue}"), format!("{queue}.other"), queue] {
        operator.delete_with_letters(&queue).await;
    }
    match end {
        Ok(in_time) => in_time.expect("the test did not end"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A message that says who it is by the number in its body.
pub fn numbered(number: usize) -> Message {
    Message::new(TaskId::new(), "amqp.test", ContentType::MessagePack, Bytes::from(number.to_string()))
}

pub fn to(queue: &str, number: usize) -> Publish {
    Publish::new(queue, numbered(number))
}

pub fn number_of(delivery: &Delivery) -> usize {
    match &delivery.content {
        Content::Task(message) => str::from_utf8(&message.body).unwrap().parse().unwrap(),
        Content::Foreign(foreign) => panic!("not a task: {foreign:?}"),
    }
}

/// A broker at the test server with this queue declared.
pub async fn broker_with(queue: &str) -> AmqpBroker {
    let broker = AmqpBroker::new(amqp_url());
    broker.declare(&QueueSpec::new(queue)).await.unwrap();
    broker
}

/// Declares a classic queue of so many places, which refuses what it has no room for.
pub async fn declare_small(queue: &str, places: i32) {
    let text = |value: &str| AMQPValue::LongString(value.into());
    let arguments = [
        ("x-queue-type", text("classic")),
        ("x-max-length", AMQPValue::LongInt(places)),
        ("x-overflow", text("reject-publish")),
    ];
    operator().await.declare(queue, &arguments).await;
}

/// Takes and acks until each of these has come; says how often each came.
pub async fn take_all(consumer: &mut Consumer, count: usize) -> Vec<usize> {
    let mut times = vec![0; count];
    while times.contains(&0) {
        let Ok(delivery) = tokio::time::timeout(PATIENCE, consumer.next()).await else {
            let missing: Vec<usize> = (0..count).filter(|number| times[*number] == 0).collect();
            panic!("these did not come: {missing:?}");
        };
        let delivery = delivery.expect("the consumer ended");
        times[number_of(&delivery)] += 1;
        delivery.ack();
    }
    times
}

pub async fn consume(broker: &AmqpBroker, queue: &str, prefetch: u16) -> Consumer {
    broker.consume(&QueueSpec::new(queue), NonZeroU16::new(prefetch).unwrap()).await.unwrap()
}

pub async fn next(consumer: &mut Consumer) -> Delivery {
    ended(consumer.next()).await.expect("the consumer ended")
}
