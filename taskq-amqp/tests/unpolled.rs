//! Callers that were polled once and do not look again, as in a program that blocks its runtime: nobody else depends on them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::{
    FutureExt,
    future::{MaybeDone, join_all, maybe_done},
};
use std::time::Duration;
use support::{broker_with, line, operator, to, unique, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{BoxFuture, Broker, BrokerError, QueueSpec};
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
