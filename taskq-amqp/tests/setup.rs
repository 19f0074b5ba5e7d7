//! Wrong set-up is found at once, named, and not tried for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lapin::types::AMQPValue;
use std::{
    num::NonZeroU16,
    time::{Duration, Instant},
};
use support::{amqp_url_at, broker_with, consume, line, next, number_of, operator, to, unique, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, QueueSpec};
use taskq_faults::shared::amqp_url;

/// A port that nobody listens on.
const NOBODY: &str = "127.0.0.1:1";

#[tokio::test]
async fn a_queue_that_is_there_in_another_form_is_a_mismatch_that_names_both() {
    with_queue("mismatch", async |queue| {
        let broker = broker_with(&queue).await;
        let classic = broker.declare(&QueueSpec::new(&queue).classic()).await.unwrap_err();
        let BrokerError::Mismatch { queue: named, argument, wanted, found } = &classic else { panic!("{classic:?}") };
        assert_eq!([named, argument, wanted, found], [&queue, "x-queue-type", "classic", "quorum"]);
        assert!(!classic.is_retryable());
        // Used as it is, it is none of our business what it is.
        broker.declare(&QueueSpec::new(&queue).existing()).await.unwrap();
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_queue_of_somebody_else_is_used_as_it_is_delays_and_dead_letters_included() {
    with_queue("existing", async |queue| {
        let broker = AmqpBroker::new(amqp_url());
        let spec = QueueSpec::new(&queue).existing();
        let missing = broker.declare(&spec).await.unwrap_err();
        assert!(matches!(missing, BrokerError::Unroutable { .. }), "{missing:?}");
        assert_eq!(operator().await.find(&spec.dead_letter_name()).await, None, "a typo leaves nothing behind");
        operator().await.declare(&queue, &[("x-max-length", AMQPValue::LongInt(17))]).await;
        broker.declare(&spec).await.unwrap();
        broker.publish(to(&queue, 1).delay(Some(Duration::from_millis(100)))).await.unwrap();
        assert_eq!(number_of(&next(&mut consume(&broker, &queue, 1).await).await), 1);
        broker.publish(to(spec.dead_letters().name(), 2)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn priorities_are_served_from_the_highest() {
    with_queue("priority", async |queue| {
        let broker = AmqpBroker::new(amqp_url());
        broker.declare(&QueueSpec::new(&queue).priorities(5)).await.unwrap();
        for (number, priority) in [None, Some(1), Some(5), Some(3)].into_iter().enumerate() {
            let mut message = support::numbered(number);
            message.priority = priority;
            broker.publish(taskq_core::Publish::new(&queue, message)).await.unwrap();
        }
        let mut consumer = consume(&broker, &queue, 1).await;
        for number in [2, 3, 1, 0] {
            let delivery = next(&mut consumer).await;
            assert_eq!(number_of(&delivery), number);
            delivery.ack();
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_not_tried_again_by_itself() {
    let line = line();
    let broker = AmqpBroker::new(line.url().replace("guest:guest", "guest:wrong-secret"));
    let denied = broker.declare(&QueueSpec::new("anything")).await.unwrap_err();
    assert!(matches!(denied, BrokerError::Denied { .. }), "{denied:?}");
    assert!(!format!("{denied} {denied:?} {broker:?}").contains("secret"));
    let after_one = line.counters().accepted;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(line.counters().accepted, after_one);
    let denied = broker.publish(to("anything", 1)).await.unwrap_err();
    assert!(matches!(denied, BrokerError::Denied { .. }), "{denied:?}");
    let denied = broker.consume(&QueueSpec::new("anything"), NonZeroU16::MIN).await.unwrap_err();
    assert!(matches!(denied, BrokerError::Denied { .. }), "{denied:?}");
}

#[tokio::test]
async fn an_unknown_virtual_host_is_denied() {
    let url = format!("{}/no-such-vhost", amqp_url().rsplit_once('/').unwrap().0);
    let denied = AmqpBroker::new(url).declare(&QueueSpec::new("anything")).await.unwrap_err();
    assert!(matches!(&denied, BrokerError::Denied { reason, .. } if reason.contains("no-such-vhost")), "{denied:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_and_may_come_later() {
    let broker = AmqpBroker::new(amqp_url_at(NOBODY));
    let unreachable = broker.declare(&QueueSpec::new("anything")).await.unwrap_err();
    assert!(matches!(&unreachable, BrokerError::Unreachable { address, .. } if address == NOBODY), "{unreachable:?}");
    assert!(unreachable.is_retryable());
    let began = Instant::now();
    let within = Duration::from_millis(700);
    let unreachable = broker.publish(to("anything", 1).within(within)).await.unwrap_err();
    assert!(matches!(unreachable, BrokerError::Unreachable { .. }), "{unreachable:?}");
    assert!(began.elapsed() >= within, "a publish waits for the connection as long as it may");
    let delayed = to("anything", 1).within(within).delay(Some(within));
    let unreachable = broker.publish(delayed).await.unwrap_err();
    assert!(matches!(unreachable, BrokerError::Unreachable { .. }), "{unreachable:?}");
}

#[tokio::test]
async fn one_of_several_servers_is_enough() {
    with_queue("several", async |queue| {
        for _ in 0..5 {
            let broker = AmqpBroker::new(amqp_url_at(NOBODY)).hosts([amqp_url(), amqp_url_at("127.0.0.1:2")]);
            broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_an_error_of_the_first_call() {
    for bad in ["", "localhost", "http://guest:secret@localhost", "amqp://guest:secret@[::1]/%2f"] {
        let broker = AmqpBroker::new(bad);
        let error = broker.declare(&QueueSpec::new("anything")).await.unwrap_err();
        assert!(matches!(error, BrokerError::Address { .. }) && !error.is_retryable(), "{error:?}");
        assert!(!format!("{error} {error:?} {broker:?}").contains("secret"), "{error}");
        let error = broker.publish(to("anything", 1)).await.unwrap_err();
        assert!(matches!(error, BrokerError::Address { .. }), "{error:?}");
    }
    let error = AmqpBroker::from_env_var("NO_SUCH_RABBITMQ_URL").inspect("anything").await.unwrap_err();
    assert!(error.to_string().contains("NO_SUCH_RABBITMQ_URL"), "{error}");
}

#[tokio::test]
async fn names_that_rabbitmq_cannot_keep_apart_are_refused() {
    let broker = AmqpBroker::new(amqp_url());
    for bad in ["x".repeat(200), "x".repeat(300), "a.#".into(), "a..b".into(), "taskq.v1.dlx".into(), ".dead".into()] {
        let error = broker.declare(&QueueSpec::new(bad)).await.unwrap_err();
        assert!(matches!(error, BrokerError::Unsupported { .. }), "{error:?}");
    }
    let error = broker.inspect(&unique("unknown")).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unroutable { .. }), "{error:?}");
    let error = broker.inspect(&"x".repeat(300)).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unroutable { .. }), "{error:?}");
    let error = broker.consume(&QueueSpec::new("x".repeat(300)), NonZeroU16::MIN).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unroutable { .. }), "{error:?}");
}
