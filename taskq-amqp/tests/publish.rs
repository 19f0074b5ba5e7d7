//! Publishing: every caller hears of its own message, and of no other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use futures_util::future::join_all;
use std::{collections::BTreeMap, time::Duration};
use support::{
    broker_with, consume, declare_small, next, number_of, numbered, operator, take_all, to, unique, with_queue,
};
use taskq_amqp::AmqpBroker;
use taskq_core::{
    Broker, BrokerError, Content, Epitaph, FailureKind, Foreign, Origin, Publish, QueueSpec, TaskFailure, TaskId,
    UnixMillis,
};
use taskq_faults::{shared::amqp_url, wait::eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_of_which_five_go_astray_each_hear_of_their_own() {
    with_queue("astray", async |queue| {
        let broker = broker_with(&queue).await;
        let unknown = unique("unknown");
        for _ in 0..10 {
            let is_astray = |number: usize| number % 20 == 7;
            let publishing = (0..100).map(|number| {
                let (broker, target) = (broker.clone(), if is_astray(number) { &unknown } else { &queue });
                let publish = to(target, number);
                tokio::spawn(async move { broker.publish(publish).await })
            });
            for (number, outcome) in join_all(publishing).await.into_iter().enumerate() {
                match outcome.unwrap() {
                    Err(BrokerError::Unroutable { queue }) if is_astray(number) => assert_eq!(queue, unknown),
                    outcome => assert!(outcome.is_ok() && !is_astray(number), "{number}: {outcome:?}"),
                }
            }
        }
        assert_eq!(operator().await.ready(&queue).await, 950);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_second_of_two_thousand_goes_astray_and_says_so() {
    with_queue("second", async |queue| {
        let broker = broker_with(&queue).await;
        let unknown = unique("unknown");
        let publishes = (0..2000).map(|number| to(if number % 2 == 0 { &queue } else { &unknown }, number));
        let outcomes = broker.publish_many(publishes.collect()).await;
        for (number, outcome) in outcomes.iter().enumerate() {
            let is_right = match outcome {
                Ok(()) => number % 2 == 0,
                Err(BrokerError::Unroutable { queue }) => number % 2 == 1 && *queue == unknown,
                Err(_) => false,
            };
            assert!(is_right, "{number}: {outcome:?}");
        }
        let mut consumer = consume(&broker, &queue, 200).await;
        for number in (0..2000).step_by(2) {
            let delivery = next(&mut consumer).await;
            assert_eq!(number_of(&delivery), number);
            delivery.ack();
        }
    })
    .await;
}

/// More than there is room for at a time: the last ones wait for room, and for each other.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_eleven_thousand_is_kept() {
    with_queue("order", async |queue| {
        let broker = broker_with(&queue).await;
        let outcomes = broker.publish_many((0..11_000).map(|number| to(&queue, number)).collect()).await;
        assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|outcome| outcome.is_err()));
        let mut consumer = consume(&broker, &queue, 500).await;
        for number in 0..11_000 {
            let delivery = next(&mut consumer).await;
            assert_eq!(number_of(&delivery), number);
            delivery.ack();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_messages_of_one_id_at_once_both_get_an_answer() {
    with_queue("twins", async |queue| {
        let broker = broker_with(&queue).await;
        let message = numbered(0);
        let twins = [&queue, &unique("unknown"), &queue].map(|target| Publish::new(target, message.clone()));
        let outcomes = broker.publish_many(twins.into()).await;
        assert!(matches!(&outcomes[..], [Ok(()), Err(BrokerError::Unroutable { .. }), Ok(())]), "{outcomes:?}");
        assert_eq!(operator().await.ready(&queue).await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_makes_callers_wait_and_refuses_workers_at_once() {
    with_queue("full", async |queue| {
        declare_small(&queue, 2).await;
        let broker = AmqpBroker::new(amqp_url());
        broker.declare(&QueueSpec::new(&queue).existing()).await.unwrap();
        for number in 0..2 {
            broker.publish(to(&queue, number)).await.unwrap();
        }
        let in_vain = broker.publish(to(&queue, 99).within(Duration::from_millis(300))).await;
        assert!(matches!(in_vain, Err(BrokerError::Full { .. })), "{in_vain:?}");
        let at_once = broker.publish(to(&queue, 99).origin(Origin::Worker)).await;
        assert!(matches!(at_once, Err(BrokerError::Full { .. })), "{at_once:?}");
        let (broker_too, publish) = (broker.clone(), to(&queue, 2));
        let patient = tokio::spawn(async move { broker_too.publish(publish).await });
        let mut consumer = consume(&broker, &queue, 1).await;
        assert_eq!(take_all(&mut consumer, 3).await, [1, 1, 1]);
        patient.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_server_refuses_by_closing_the_channel_fails_alone() {
    with_queue("refused", async |queue| {
        let broker = broker_with(&queue).await;
        let mut wrong = numbered(0);
        // A header table larger than a frame is an error of the whole connection; these headers are not.
        wrong.labels.insert("x".repeat(300), "a label's name is a short string".into());
        let mut publishes: Vec<Publish> = (0..50).map(|number| to(&queue, number)).collect();
        publishes.insert(25, Publish::new(&queue, wrong));
        publishes.insert(30, Publish::new("q".repeat(300), numbered(0)));
        let outcomes = broker.publish_many(publishes).await;
        assert!(matches!(outcomes[25], Err(BrokerError::Unsupported { .. })), "{:?}", outcomes[25]);
        assert!(matches!(outcomes[30], Err(BrokerError::Unroutable { .. })), "{:?}", outcomes[30]);
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 50);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_refused_before_it_is_sent() {
    with_queue("large", async |queue| {
        let broker = broker_with(&queue).await;
        let mut message = numbered(0);
        message.body = Bytes::from(vec![0; 16 * 1024 * 1024]);
        let refused = broker.publish(Publish::new(&queue, message)).await.unwrap_err();
        assert!(matches!(refused, BrokerError::Unsupported { .. }) && !refused.is_retryable(), "{refused:?}");
        broker.publish(to(&queue, 1)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_callers_at_once_are_served_through_bounded_memory() {
    with_queue("many", async |queue| {
        let broker = broker_with(&queue).await;
        let publishing = (0..12_000).map(|number| {
            let (broker, publish) = (broker.clone(), to(&queue, number));
            tokio::spawn(async move { broker.publish(publish).await })
        });
        for outcome in join_all(publishing).await {
            outcome.unwrap().unwrap();
        }
        assert_eq!(operator().await.ready(&queue).await, 12_000);
    })
    .await;
}

fn epitaph(queue: &str) -> Epitaph {
    let failure = TaskFailure::new(FailureKind::Undecodable, "it is garbage", 0);
    let now = UnixMillis::now();
    Epitaph { failure, queue: queue.to_owned(), first_failed: now, last_failed: now }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_without_an_id_goes_to_the_dead_letters_and_can_be_found_there() {
    with_queue("garbage", async |queue| {
        let broker = broker_with(&queue).await;
        let garbage = Foreign {
            reason: "it is garbage".into(),
            id: None,
            content_type: None,
            headers: BTreeMap::new(),
            body: Bytes::from_static(&[0xff, 0, 0xfe]),
        };
        let dead = QueueSpec::new(&queue).dead_letters();
        let letter = Publish::new(dead.name(), garbage).epitaph(Some(Box::new(epitaph(&queue)))).origin(Origin::Worker);
        broker.publish(letter).await.unwrap();
        let delivery = next(&mut consume(&broker, dead.name(), 1).await).await;
        let Content::Foreign(found) = &delivery.content else { panic!("{:?}", delivery.content) };
        assert_eq!(&found.body[..], [0xff, 0, 0xfe]);
        assert_eq!(found.id.as_ref().map(|id| id.as_str().len()), Some(TaskId::new().as_str().len()));
        assert_eq!(delivery.epitaph.as_ref().unwrap().failure.attempts, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_nothing_behind() {
    with_queue("gone", async |queue| {
        let broker = broker_with(&queue).await;
        for number in 0..200 {
            let (broker, publish) = (broker.clone(), to(&queue, number));
            let caller = tokio::spawn(async move { broker.publish(publish).await });
            tokio::task::yield_now().await;
            caller.abort();
        }
        broker.publish(to(&queue, 200)).await.unwrap();
        let mut consumer = consume(&broker, &queue, 100).await;
        eventually("the last one comes", async || {
            let delivery = next(&mut consumer).await;
            let number = number_of(&delivery);
            delivery.ack();
            number == 200
        })
        .await;
    })
    .await;
}
