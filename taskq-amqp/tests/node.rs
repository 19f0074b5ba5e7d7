//! What a server of one's own is needed for: a first delay, a power cut, and an alarm.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::future::join_all;
use std::time::{Duration, Instant};
use support::{consume, next, number_of, take_all, to, unique};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, Origin, QueueSpec};
use taskq_faults::{
    rabbit::{Alarm, Client, Rabbit, Settings},
    wait::{PATIENCE, eventually, found},
};
use tokio::time::timeout;

/// As many as a connection may have. Far fewer than usual, so that a broker which opens one after the other does not ruin the node.
const CHANNELS: usize = 32;

/// One node for all of it: starting one takes long.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_keeps_what_it_confirmed_and_an_alarm_stops_publishing_alone() {
    let settings =
        Settings::new().dead_letter_timeout(Duration::from_secs(5)).conf("channel_max", &CHANNELS.to_string());
    let mut node = settings.start().await.unwrap();
    a_first_delay_that_has_no_time_for_its_queues_says_so_and_declares_them_for_the_next(&node).await;
    more_first_delays_at_once_than_there_are_channels_take_one_connection(&node).await;
    confirmed_messages_survive_a_killed_server(&mut node).await;
    at_an_alarm_publishing_is_blocked_and_settling_goes_on(&node).await;
}

/// As a worker does that comes back to thousands of messages which another one may still run.
async fn more_first_delays_at_once_than_there_are_channels_take_one_connection(node: &Rabbit) {
    let connections = || {
        let log = std::fs::read_to_string(node.log()).unwrap();
        log.lines().filter(|line| line.contains("client-provided name") && line.ends_with("/pub")).count()
    };
    let (queue, before) = (unique("at-once"), connections());
    let broker = AmqpBroker::new(node.url());
    broker.declare(&QueueSpec::new(&queue)).await.unwrap();
    let publish = |number| {
        let publish = to(&queue, number).delay(Some(Duration::from_millis(100))).origin(Origin::Worker);
        broker.publish(publish.within(PATIENCE))
    };
    let outcomes = join_all((0..CHANNELS * 5).map(publish)).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let mut consumer = consume(&broker, &queue, 100).await;
    assert_eq!(take_all(&mut consumer, CHANNELS * 5).await, vec![1; CHANNELS * 5]);
    assert_eq!(connections() - before, 1);
    broker.close().await.unwrap();
}

async fn a_first_delay_that_has_no_time_for_its_queues_says_so_and_declares_them_for_the_next(node: &Rabbit) {
    let queue = unique("first");
    let broker = AmqpBroker::new(node.url());
    broker.declare(&QueueSpec::new(&queue)).await.unwrap();
    let hasty = to(&queue, 0).delay(Some(Duration::from_secs(3600))).within(Duration::from_millis(50));
    let error = broker.publish(hasty).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("declar") && text.contains("delay") && text.contains("within"), "{text}");

    let operator = Client::of(&node.url()).await;
    let is_there = async || operator.find("taskq.v1.delay.27").await.is_some();
    eventually("the last delay queue is declared", is_there).await;
    broker.publish(to(&queue, 1).delay(Some(Duration::from_secs(3600)))).await.unwrap();
    broker.close().await.unwrap();
}

async fn confirmed_messages_survive_a_killed_server(node: &mut Rabbit) {
    let queue = unique("killed");
    let broker = AmqpBroker::new(node.url());
    for queue in [QueueSpec::new(&queue), QueueSpec::new(format!("{queue}.classic")).classic()] {
        broker.declare(&queue).await.unwrap();
        let publishes = (0..200).map(|number| to(queue.name(), number));
        let outcomes = broker.publish_many(publishes.collect()).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    let delayed = to(&queue, 200).delay(Some(Duration::from_secs(5)));
    broker.publish(delayed).await.unwrap();
    // 310 days, the longest there is; what is missing is made up for on arrival.
    for origin in [Origin::Caller, Origin::Worker] {
        broker.publish(to(&queue, 999).delay(Some(Duration::MAX)).origin(origin)).await.unwrap();
    }
    // A consumer that was there before goes on after.
    let mut early = consume(&broker, &queue, 1).await;
    next(&mut early).await.requeue();

    node.kill();
    let waiting = tokio::spawn({
        let (broker, publish) = (broker.clone(), to(&queue, 201).within(PATIENCE * 2));
        async move { broker.publish(publish).await }
    });
    let refused = found("there is no connection", async || {
        let soon = to(&queue, 999).within(Duration::from_millis(300));
        match broker.publish(soon).await.unwrap_err() {
            // On its way when the server died.
            BrokerError::Unconfirmed { .. } => None,
            error => Some(error),
        }
    });
    let refused = refused.await;
    assert!(matches!(refused, BrokerError::Unreachable { .. }), "{refused:?}");
    node.run().await.unwrap();
    timeout(PATIENCE * 2, waiting).await.unwrap().unwrap().unwrap();

    take_all(&mut early, 202).await;
    let mut classic = consume(&broker, &format!("{queue}.classic"), 200).await;
    for number in 0..200 {
        let delivery = next(&mut classic).await;
        assert_eq!(number_of(&delivery), number);
        delivery.ack();
    }
    broker.close().await.unwrap();
}

async fn at_an_alarm_publishing_is_blocked_and_settling_goes_on(node: &Rabbit) {
    let queue = unique("alarm");
    let broker = AmqpBroker::new(node.url());
    broker.declare(&QueueSpec::new(&queue)).await.unwrap();
    broker.publish_many((0..20).map(|number| to(&queue, number)).collect()).await;
    let mut consumer = consume(&broker, &queue, 5).await;
    let held = next(&mut consumer).await;
    node.set_alarm(Alarm::Memory, true).await.unwrap();

    // The server lets the first publish by and then says that it takes no more.
    let within = |number| to(&queue, number).within(Duration::from_secs(1));
    let began = Instant::now();
    let blocked = found("a publish is blocked", async || match broker.publish(within(20)).await {
        Err(error @ BrokerError::Blocked { .. }) => Some(error),
        Ok(()) | Err(BrokerError::Unconfirmed { .. }) => None,
        Err(other) => panic!("{other:?}"),
    });
    let blocked = blocked.await;
    assert!(blocked.is_retryable());
    assert!(blocked.to_string().contains("memory"), "{blocked}");
    assert!(began.elapsed() < PATIENCE);
    held.ack();
    for _ in 1..20 {
        next(&mut consumer).await.ack();
    }
    eventually("all is settled", async || broker.inspect(&queue).await.unwrap().ready == 0).await;

    let patient = join_all((100..110).map(|number| broker.publish(to(&queue, number))));
    let ((), outcomes) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            node.set_alarm(Alarm::Memory, false).await.unwrap();
        },
        patient
    );
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    broker.close().await.unwrap();
    let operator = Client::of(&node.url()).await;
    eventually("all connections are closed", async || operator.consumers(&queue).await == 0).await;
}
