//! Callers that were polled once and do not look again, as in a program that blocks its runtime: nobody else depends on them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{MaybeDone, join_all, maybe_done},
};
use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    time::Duration,
};
use support::{broker_with, declare_small, line, numbered, operator, to, unique, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{BoxFuture, Broker, BrokerError, Publish, QueueSpec};
use taskq_faults::{
    proxy::{Line, Way, Who},
    wait::{ended, eventually},
};

/// More than are on their way at a time by one channel.
const MANY: usize = 700;

/// Longer than a message waits for its confirm until it is sent again.
const LONG: Duration = Duration::from_secs(12);

type Outcome = Result<(), BrokerError>;
type Publishing<'a> = MaybeDone<BoxFuture<'a, Outcome>>;

/// Polls each once.
fn begin<'a>(publishing: impl Iterator<Item = BoxFuture<'a, Outcome>>) -> Vec<Publishing<'a>> {
    let mut publishing: Vec<_> = publishing.map(maybe_done).collect();
    for publishing in &mut publishing {
        let _ = publishing.now_or_never();
    }
    publishing
}

/// Looks again.
async fn outcomes_of(mut publishing: Vec<Publishing<'_>>) -> Vec<Outcome> {
    ended(join_all(&mut publishing)).await;
    publishing.into_iter().map(|mut publishing| std::pin::Pin::new(&mut publishing).take_output().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_look_holds_up_no_message() {
    with_queue("unpolled", async |queue| {
        let line = line();
        let broker = AmqpBroker::new(line.url());
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        broker.publish(to(&queue, 0)).await.unwrap();
        line.line(Who::All, Way::ToClient, Line::Stall);
        // Less than what passes until the clock alone has somebody look.
        let soon = |number| broker.publish(to(&queue, number).within(Duration::from_secs(5)));
        let publishing = begin((1..=MANY).map(soon));
        line.heal();
        let ready = async || usize::try_from(operator().await.ready(&queue).await).unwrap();
        eventually("all of them are there", async || ready().await == MANY + 1).await;
        let outcomes = outcomes_of(publishing).await;
        assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|outcome| outcome.is_err()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_hear_whether_a_delayed_message_has_a_queue_keeps_nobody_from_asking() {
    with_queue("unasked", async |queue| {
        let broker = broker_with(&queue).await;
        let delayed = |queue: &str| broker.publish(to(queue, 0).delay(Some(Duration::from_millis(100))));
        // More than are asked about at once.
        let publishing = begin((0..40).map(|number| delayed(&format!("{queue}.{number}"))));
        ended(delayed(&queue)).await.unwrap();
        ended(broker.declare(&QueueSpec::new(&queue))).await.unwrap();
        let outcomes = outcomes_of(publishing).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(BrokerError::Unroutable { .. }))), "{outcomes:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_unheard_leaves_nothing_to_others() {
    with_queue("unheard", async |queue| {
        let broker = broker_with(&queue).await;
        broker.publish(to(&queue, MANY)).await.unwrap();
        let publishing = begin((0..MANY).map(|number| broker.publish(to(&queue, number))));
        drop(publishing);
        // What waited for room is not sent; what was handed over is, and its room is given back.
        for number in 0..MANY {
            ended(broker.publish(to(&queue, number))).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_that_its_caller_sees_late_is_no_silence() {
    with_queue("late", async |queue| {
        let broker = broker_with(&queue).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        let publishing = begin((1..=20).map(|number| broker.publish(to(&queue, number))));
        tokio::time::sleep(LONG).await;
        let outcomes = outcomes_of(publishing).await;
        assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|outcome| outcome.is_err()));
        assert_eq!(operator().await.ready(&queue).await, 21, "sent again, though it was confirmed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_reaches_its_caller_though_others_do_not_look() {
    with_queue("returned", async |queue| {
        let broker = broker_with(&queue).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        let unknown = unique("unknown");
        for round in 0..50 {
            let names = (0..40).map(|number| if number % 2 == 0 { &queue } else { &unknown });
            let mut publishing = begin(names.map(|name| broker.publish(to(name, round))));
            // The last one alone looks.
            let last = outcomes_of(publishing.split_off(39)).await;
            assert!(matches!(last[..], [Err(BrokerError::Unroutable { .. })]), "{last:?}");
            let outcomes = outcomes_of(publishing).await;
            for (number, outcome) in outcomes.iter().enumerate() {
                assert_eq!(outcome.is_ok(), number % 2 == 0, "{number}: {outcome:?}");
            }
        }
    })
    .await;
}

/// Longer than the server takes to answer, and shorter than what passes until the clock alone has somebody look.
const SOON: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_with_the_last_confirm() {
    with_queue("closing", async |queue| {
        let line = line();
        let broker = AmqpBroker::new(line.url());
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        broker.publish(to(&queue, 0)).await.unwrap();
        line.line(Who::All, Way::ToClient, Line::Stall);
        let (publishing, closing) = (broker.clone(), broker.clone());
        let message = to(&queue, 1);
        let publishing = tokio::spawn(async move { publishing.publish(message).await });
        eventually("it is there", async || operator().await.ready(&queue).await == 2).await;
        let closing = tokio::spawn(async move { closing.close().await });
        eventually("it takes no more", async || {
            matches!(broker.inspect(&queue).now_or_never(), Some(Err(BrokerError::Closed)))
        })
        .await;
        line.heal();
        publishing.await.unwrap().unwrap();
        tokio::time::timeout(SOON, closing).await.expect("closing waits for nothing").unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_hears_that_its_own_queue_is_full() {
    with_queue("each-full", async |queue| {
        let operator = operator().await;
        // Enough of them to be on several channels.
        let names: Vec<String> = (0..8).map(|number| format!("{queue}-{number}")).collect();
        let broker = broker_with(&queue).await;
        for name in &names {
            declare_small(name, 1).await;
            broker.publish(to(name, 0)).await.unwrap();
        }
        let many = names.iter().map(|name| to(name, 1).within(Duration::from_secs(3)));
        let outcomes = ended(broker.publish_many(many.collect())).await;
        for name in &names {
            operator.delete(name).await;
        }
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(BrokerError::Full { .. }))), "{outcomes:?}");
    })
    .await;
}

/// By a line on which a refusal takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_known_to_have_taken_nothing_when_the_time_is_over() {
    with_queue("full-to-the-end", async |queue| {
        let operator = operator().await;
        let line = line();
        line.line(Who::All, Way::ToClient, Line::Delay(Duration::from_millis(20)));
        let broker = AmqpBroker::new(line.url());
        declare_small(&queue, 1).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        // They ask again at different times, and some of them shortly before theirs is over.
        let many = (1..=60).map(|number| to(&queue, number).within(Duration::from_millis(370)));
        let outcomes = ended(broker.publish_many(many.collect())).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(BrokerError::Full { .. }))), "{outcomes:?}");
        operator.delete(&queue).await;
    })
    .await;
}

/// Five bodies of the largest size, each queue on another channel but the last: more than may be unconfirmed together.
#[tokio::test(flavor = "multi_thread")]
async fn many_large_messages_wait_for_the_room_of_those_before_them() {
    with_queue("large", async |queue| {
        let channel = |name: &String| BuildHasherDefault::<DefaultHasher>::default().hash_one(name) % 4;
        let broker = broker_with(&queue).await;
        let mut names: Vec<String> = Vec::new();
        for name in (0..).map(|number| format!("{queue}-{number}")) {
            if names.len() == 4 {
                break;
            }
            if names.iter().all(|taken| channel(taken) != channel(&name)) {
                broker.declare(&QueueSpec::new(&name)).await.unwrap();
                broker.publish(to(&name, 0)).await.unwrap();
                names.push(name);
            }
        }
        let large = |name: &String| {
            let mut message = numbered(1);
            message.body = Bytes::from(vec![0; 15 * 1024 * 1024]);
            Publish::new(name, message).within(Duration::from_secs(8))
        };
        let outcomes = ended(broker.publish_many(names.iter().chain(names.first()).map(large).collect())).await;
        let operator = operator().await;
        for name in &names {
            operator.delete_with_letters(name).await;
        }
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    })
    .await;
}
