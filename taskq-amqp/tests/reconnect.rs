//! Lines that break: everything goes on by itself, with nothing lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use std::time::Duration;
use support::{broker_with, consume, line, next, number_of, operator, take_all, to, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, ContentType, Message, Publish, QueueSpec};
use taskq_faults::{
    proxy::{Door, Line, Method, Proxy, Rule, Way, Who},
    wait::{ended, eventually},
};
use tokio::time::timeout;

/// A broker behind a line that can be spoiled, with this queue declared.
async fn behind_line(queue: &str) -> (Proxy, AmqpBroker) {
    let line = line();
    let broker = AmqpBroker::new(line.url()).heartbeat(Duration::from_secs(1));
    broker.declare(&QueueSpec::new(queue)).await.unwrap();
    (line, broker)
}

async fn one_consumer(queue: &str) {
    eventually("there is one consumer", async || operator().await.consumers(queue).await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_cuts_there_is_one_consumer_with_the_prefetch_it_asked_for() {
    with_queue("prefetch", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 3).await;
        for _ in 0..3 {
            line.cut(Who::All);
            broker.publish(to(&queue, 0)).await.unwrap();
            next(&mut consumer).await.ack();
        }
        one_consumer(&queue).await;
        broker.publish_many((1..20).map(|number| to(&queue, number)).collect()).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(next(&mut consumer).await);
        }
        assert!(timeout(Duration::from_millis(300), consumer.next()).await.is_err(), "more than three are unsettled");
        // An ack may have been lost with its line, and its message have come again: there may be more than sixteen.
        assert!(operator().await.ready(&queue).await >= 16);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_confirmed_while_the_line_was_cut_again_and_again_is_there() {
    with_queue("cut", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let cut = line.clone();
        let cutting = tokio::spawn(async move {
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(150)).await;
                cut.cut(Who::All);
            }
        });
        let mut count = 0;
        while !cutting.is_finished() {
            let batch: Vec<_> = (count..count + 300).map(|number| to(&queue, number)).collect();
            count += batch.len();
            let outcomes = broker.publish_many(batch).await;
            assert!(outcomes.iter().all(Result::is_ok), "a publish waits for the next connection: {outcomes:?}");
        }
        let mut consumer = consume(&broker, &queue, 500).await;
        let times = take_all(&mut consumer, count).await;
        assert_eq!(times.len(), count);
    })
    .await;
}

/// With pauses that do not grow it would be asked thirty times in these two seconds, and hundreds of times without any.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drops_every_connection_at_once_is_asked_ever_more_rarely_and_used_again_when_it_holds() {
    with_queue("dropping", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let dropping = line.add(Rule::cut_after(Method::CONNECTION_OPEN_OK, Way::ToClient));
        line.cut(Who::All);
        let waiting = tokio::spawn({
            let (broker, publish) = (broker.clone(), to(&queue, 0));
            async move { broker.publish(publish).await }
        });
        eventually("it is tried again and again", async || dropping.hits() >= 6).await;
        let before = dropping.hits();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let tried = dropping.hits() - before;
        assert!(tried <= 10, "{tried} times in two seconds");
        // What waits for a connection without a limit of its own ends too.
        let error = ended(broker.inspect(&queue)).await.unwrap_err();
        assert!(matches!(error, BrokerError::Unreachable { .. }), "{error:?}");
        dropping.end();
        waiting.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_after_a_cut_touches_no_other_message() {
    with_queue("stale", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 10).await;
        broker.publish_many((0..10).map(|number| to(&queue, number)).collect()).await;
        let mut stale = Vec::new();
        for _ in 0..10 {
            stale.push(next(&mut consumer).await);
        }
        line.cut(Who::All);
        // The same tags, on the next channel.
        let mut fresh = Vec::new();
        for _ in 0..10 {
            fresh.push(next(&mut consumer).await);
        }
        assert!(fresh.iter().all(|delivery| delivery.redelivered));
        stale.into_iter().for_each(taskq_core::Delivery::ack);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(operator().await.consumers(&queue).await, 1, "the channel is as it was");
        fresh.into_iter().for_each(taskq_core::Delivery::requeue);
        assert_eq!(take_all(&mut consumer, 10).await, [1; 10]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_line_is_noticed_and_replaced() {
    with_queue("silent", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 1).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        next(&mut consumer).await.ack();
        line.line(Who::All, Way::ToClient, Line::Stall);
        let unknown = broker.publish(to(&queue, 0).within(Duration::from_millis(300))).await.unwrap_err();
        assert!(matches!(unknown, BrokerError::Unconfirmed { .. }), "{unknown:?}");
        let (waiting_broker, publish) = (broker.clone(), to(&queue, 1));
        let waiting = tokio::spawn(async move { waiting_broker.publish(publish).await });
        tokio::time::sleep(Duration::from_secs(3)).await;
        line.cut(Who::All);
        line.heal();
        waiting.await.unwrap().unwrap();
        take_all(&mut consumer, 2).await;
        one_consumer(&queue).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_hangs_up_is_tried_again_soon() {
    with_queue("hangs-up", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 1).await;
        line.door(Door::Drop);
        line.cut(Who::All);
        let tried = line.counters().accepted + 4;
        eventually("it was tried again", async || line.counters().accepted >= tried).await;
        line.heal();
        let publishing = broker.publish(to(&queue, 0).within(Duration::from_secs(6)));
        publishing.await.unwrap();
        take_all(&mut consumer, 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_not_declared_again_while_the_server_remembers_and_consuming_resumes_once_it_is_there() {
    with_queue("deleted", async |queue| {
        let (_line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 1).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        let held = next(&mut consumer).await;
        operator().await.delete_with_letters(&queue).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let gone = broker.inspect(&queue).await;
        assert!(matches!(gone, Err(BrokerError::Unroutable { .. })), "{gone:?}");
        let gone = broker.publish(to(&queue, 1)).await;
        assert!(matches!(gone, Err(BrokerError::Unroutable { .. })), "{gone:?}");
        held.ack();
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        broker.publish(to(&queue, 2)).await.unwrap();
        assert_eq!(number_of(&next(&mut consumer).await), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_and_declared_again_at_once_reaches_its_consumer_every_time() {
    with_queue("at-once", async |queue| {
        let broker = broker_with(&queue).await;
        let mut consumer = consume(&broker, &queue, 1).await;
        let operator = operator().await;
        for number in 0..10 {
            broker.publish(to(&queue, number)).await.unwrap();
            let delivery = next(&mut consumer).await;
            assert_eq!(number_of(&delivery), number);
            delivery.ack();
            operator.delete(&queue).await;
            broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        }
        operator.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_gone_after_a_reconnect_is_declared_again_by_its_consumer() {
    with_queue("forgotten", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 1).await;
        line.door(Door::Drop);
        line.cut(Who::All);
        operator().await.delete_with_letters(&queue).await;
        line.heal();
        let is_consumed = async || broker.inspect(&queue).await.is_ok_and(|info| info.consumers == 1);
        eventually("the queue is there, with its consumer", is_consumed).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        take_all(&mut consumer, 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_id_is_still_unconfirmed_holds_up_no_other() {
    with_queue("same-id", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let publish = |id: &str| {
            let message = Message::new(id.into(), "task", ContentType::MessagePack, Bytes::new());
            let (broker, publish) = (broker.clone(), Publish::new(&queue, message));
            tokio::spawn(async move { broker.publish(publish).await })
        };
        publish("before").await.unwrap().unwrap();
        line.line(Who::All, Way::ToClient, Line::Stall);
        let first = publish("same");
        eventually("the first is there", async || operator().await.ready(&queue).await == 2).await;
        let (again, other) = (publish("same"), publish("other"));
        eventually("the other is there", async || operator().await.ready(&queue).await == 3).await;
        line.cut(Who::All);
        line.heal();
        for publishing in [first, again, other] {
            publishing.await.unwrap().unwrap();
        }
    })
    .await;
}
