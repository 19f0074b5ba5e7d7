//! Channels that the server closes and consumers that it cancels, while their connection holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{consume, line, next, number_of, operator, take_all, to, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, Consumer, Delivery, Line, QueueSpec};
use taskq_faults::{
    proxy::{Injection, Method, Proxy, Rule, Who},
    wait::eventually,
};

fn precondition_failed() -> Injection {
    Injection::CloseChannels { code: 406, text: "PRECONDITION_FAILED - unknown delivery tag 1".into() }
}

/// A broker behind a line on which the server's part can be spoken.
async fn behind_line(queue: &str) -> (Proxy, AmqpBroker) {
    let line = line();
    let broker = AmqpBroker::new(line.url());
    broker.declare(&QueueSpec::new(queue)).await.unwrap();
    (line, broker)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_channel_the_server_closes_comes_back_with_its_prefetch_and_nothing_is_missing() {
    with_queue("closed-channel", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 10).await;
        broker.publish_many((0..30).map(|number| to(&queue, number)).collect()).await;
        let stale = take_ten(&mut consumer).await;
        assert_eq!(line.inject(Who::Consumers, &precondition_failed()), 1, "there was nobody to be told");
        let fresh = take_ten(&mut consumer).await;
        assert!(
            stale.iter().all(|delivery| delivery.line.as_ref().is_some_and(Line::is_cut)),
            "whoever holds them has not been told"
        );
        stale.into_iter().for_each(Delivery::ack);
        let eleventh = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await;
        assert!(eleventh.is_err(), "a stale ack made room, or the prefetch is another: {eleventh:?}");
        fresh.into_iter().for_each(Delivery::requeue);
        assert_eq!(take_all(&mut consumer, 30).await.len(), 30, "nothing is missing");
        eventually("there is one consumer", async || operator().await.consumers(&queue).await == 1).await;
    })
    .await;
}

/// What it holds is still its own: the server takes the acks, and gives none of it to anybody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_the_server_cancels_comes_back_and_what_it_held_can_still_be_acknowledged() {
    with_queue("cancelled", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 10).await;
        broker.publish_many((0..30).map(|number| to(&queue, number)).collect()).await;
        let held = take_ten(&mut consumer).await;
        assert_eq!(line.inject(Who::Consumers, &Injection::Cancel), 1, "there was nobody to be told");
        let fresh = take_ten(&mut consumer).await;
        let mut numbers: Vec<usize> = held.iter().chain(&fresh).map(number_of).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>(), "none is given out twice");
        held.into_iter().chain(fresh).for_each(Delivery::ack);
        for delivery in take_ten(&mut consumer).await {
            assert!(number_of(&delivery) >= 20, "an ack was lost");
            delivery.ack();
        }
        broker.close().await.unwrap();
        assert_eq!(operator().await.find(&queue).await, Some((0, 0)), "all was acknowledged");
    })
    .await;
}

async fn take_ten(consumer: &mut Consumer) -> Vec<Delivery> {
    let mut taken = Vec::new();
    for _ in 0..10 {
        taken.push(next(consumer).await);
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_that_the_server_answers_with_406_costs_no_message_and_the_consumer_comes_back() {
    with_queue("406", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 5).await;
        broker.publish_many((0..20).map(|number| to(&queue, number)).collect()).await;
        let refusal = line.add(Rule::close_channel(Method::BASIC_ACK, 406, "unknown delivery tag").times(1));
        assert_eq!(take_all(&mut consumer, 20).await.len(), 20, "nothing is missing");
        assert_eq!(refusal.hits(), 1, "no ack was refused");
        eventually("all is acknowledged", async || operator().await.ready(&queue).await == 0).await;
        eventually("there is one consumer", async || operator().await.consumers(&queue).await == 1).await;
    })
    .await;
}

/// As a quorum queue may lose them that elects another leader: the connection holds, and nobody is told of anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_acks_the_server_has_lost_does_not_stall_and_all_comes_that_it_takes_for_unacknowledged() {
    with_queue("lost-acks", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let mut consumer = consume(&broker, &queue, 10).await;
        broker.publish_many((0..30).map(|number| to(&queue, number)).collect()).await;
        let lost = line.add(Rule::lost_acks());
        take_ten(&mut consumer).await.into_iter().for_each(Delivery::ack);
        // Nothing comes before the channel is left, and by then all of them are told, in however many acks: one that got through
        // would tell of those before it too.
        let first = consumer.next().await.unwrap();
        assert!(lost.hits() > 0, "the acks are lost");
        lost.end();
        first.requeue();
        assert_eq!(take_all(&mut consumer, 30).await.len(), 30, "what the server takes for unacknowledged comes again");
        eventually("there is one consumer", async || operator().await.consumers(&queue).await == 1).await;
        assert_eq!(line.open(Who::Consumers), 1, "the connection holds");
        broker.close().await.unwrap();
        assert_eq!(operator().await.find(&queue).await, Some((0, 0)), "all was acknowledged");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_on_a_channel_that_the_server_closes_go_again_and_all_that_is_confirmed_is_there() {
    with_queue("closed-publisher", async |queue| {
        let (line, broker) = behind_line(&queue).await;
        let lost = line.add(Rule::lost_confirms());
        let (publisher, many) = (broker.clone(), (0..300).map(|number| to(&queue, number)).collect());
        let publishing = tokio::spawn(async move { publisher.publish_many(many).await });
        eventually("they are on their way", async || lost.hits() > 0).await;
        lost.end();
        assert!(line.inject(Who::Publishers, &precondition_failed()) > 0, "there was nobody to be told");
        let outcomes = publishing.await.unwrap();
        assert!(outcomes.iter().all(Result::is_ok), "it is the fault of none of them: {outcomes:?}");
        let times = take_all(&mut consume(&broker, &queue, 500).await, 300).await;
        assert_eq!(times.len(), 300, "what was confirmed is there");
    })
    .await;
}
