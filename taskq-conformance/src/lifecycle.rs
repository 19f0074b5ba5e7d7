//! From declaring to closing: queues, consumers and connections come and go, and no message goes with them.

use crate::{
    CaseResult, Harness, NotPassed, Scene, eventually,
    messages::{are_exactly, message_of, number_of, numbered, publishes, task},
    publish::is_unroutable,
    scene::{Connection, Taker, within},
};
use std::{collections::BTreeSet, fmt, ops::RangeInclusive};
use taskq_core::{Broker, BrokerError, Delivery, Publish, QueueSpec};

/// Declaring a queue again, from any connection, changes nothing: its messages stay.
pub(crate) async fn declaring_twice_does_nothing<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("twice").await?;
    connection.publish_to(&queue, numbered(1)).await?;
    connection.declare(&queue).await?;
    scene.connect().await?.declare(&queue).await?;
    connection.consume(&queue, 1).await?.next_is(1).await?.ack();
    Ok(())
}

/// Declaring a queue in another form is [`BrokerError::Mismatch`], names the queue, and leaves it as it was.
pub(crate) async fn declaring_differently_is_a_mismatch<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("mismatch").await?;
    connection.needs_priorities()?;
    connection.publish_to(&queue, numbered(1)).await?;
    match connection.try_declare(&queue.clone().priorities(5)).await? {
        Err(BrokerError::Mismatch { queue: named, .. }) if named == queue.name() => {}
        other => return Err(NotPassed::Broken(format!("declaring with priorities should be a Mismatch: {other:?}"))),
    }
    connection.declare(&queue).await?;
    connection.consume(&queue, 1).await?.next_is(1).await?.ack();
    Ok(())
}

/// Declaring a queue declares the queue of its dead letters.
pub(crate) async fn declaring_makes_the_queue_of_dead_letters<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("letters").await?;
    let dead = connection.inspect(&queue.dead_letters()).await?;
    ensure!(dead.ready == 0, "a new queue of dead letters holds {} messages", dead.ready);
    Ok(())
}

/// The queues `a.b` and `b` do not see each other's messages.
pub(crate) async fn queues_with_similar_names_keep_their_messages_apart<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, short) = scene.open("b").await?;
    let long = scene.spec(&scene.keep(format!("a.{}", short.name())));
    connection.declare(&long).await?;
    let (mut of_short, mut of_long) = (connection.consume(&short, 5).await?, connection.consume(&long, 5).await?);
    connection.publish_to(&short, numbered(1)).await?;
    connection.publish_to(&long, numbered(2)).await?;
    of_short.next_is(1).await?.ack();
    of_long.next_is(2).await?.ack();
    of_short.stays_quiet("its one message has come").await?;
    of_long.stays_quiet("its one message has come").await
}

/// A look at a queue counts what waits, what is unsettled (if the broker tells), and who consumes.
pub(crate) async fn inspect_counts_messages_and_consumers<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("inspect").await?;
    for publish in publishes(&queue, 1..=5) {
        connection.publish(publish).await?;
    }
    connection.sees(&queue, "five messages wait", |info| info.ready == 5 && info.consumers == 0).await?;
    let mut consumer = connection.consume(&queue, 2).await?;
    let held = consumer.take(2).await?;
    let two = |unsettled: Option<u64>| unsettled.is_none_or(|unsettled| unsettled == 2);
    let holds = |info: taskq_core::QueueInfo| info.ready == 3 && info.consumers == 1 && two(info.unsettled);
    connection.sees(&queue, "one consumer holds two of five messages", holds).await?;
    drop((consumer, held));
    connection.sees(&queue, "all is given back", |info| info.ready == 5 && info.consumers == 0).await
}

/// Consuming from a queue that does not exist is [`BrokerError::Unroutable`].
pub(crate) async fn consuming_from_an_unknown_queue_is_unroutable<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let connection = scene.connect().await?;
    let unknown = scene.name("unknown");
    let outcome = connection.try_consume(&scene.spec(&unknown), 1).await?;
    is_unroutable("consuming from an unknown queue", outcome, &unknown)
}

/// A consumer that waits at an empty queue receives what is published later.
pub(crate) async fn a_waiting_consumer_receives_what_comes_later<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("waiting").await?;
    let other = scene.connect().await?;
    let mut consumer = connection.consume(&queue, 1).await?;
    for number in 1..=3 {
        ensure!(consumer.at_once().is_none(), "a delivery came from an empty queue");
        let publishing = other.publish_to(&queue, numbered(number));
        let (published, delivery) = tokio::join!(publishing, consumer.next_is(number));
        published?;
        delivery?.ack();
    }
    Ok(())
}

/// After [`Consumer::stop`](taskq_core::Consumer::stop) nothing more is taken: `next` gives `None` at once, and what was
/// not handed out goes to other consumers.
pub(crate) async fn stop_ends_the_consumer_and_gives_back_what_was_not_taken<H: Harness>(
    scene: &Scene<H>,
) -> CaseResult {
    let (connection, queue) = scene.open("stop").await?;
    for publish in publishes(&queue, 1..=10) {
        connection.publish(publish).await?;
    }
    let mut consumer = connection.consume(&queue, 5).await?;
    let held = consumer.next_is(1).await?;
    consumer.stop();
    consumer.stop();
    ensure!(consumer.at_once().is_none(), "a stopped consumer handed out a delivery");
    consumer.ends().await?;
    // A broker may count a stopped consumer among the others until it has settled what it holds.
    connection.sees(&queue, "nine messages wait", |info| info.ready == 9).await?;
    let mut next = connection.consume(&queue, 10).await?;
    takes_all(&mut next, 2..=10).await?;
    held.ack();
    connection.sees_nothing_left(&queue).await
}

/// Takes and acks exactly these, in any order.
async fn takes_all(consumer: &mut Taker, wanted: RangeInclusive<u64>) -> CaseResult {
    let deliveries = consumer.take(wanted.clone().count()).await?;
    are_exactly(&deliveries, wanted)?;
    deliveries.into_iter().for_each(Delivery::ack);
    Ok(())
}

/// Closing ends consumers, also one that waits, and refuses everything afterwards with [`BrokerError::Closed`].
pub(crate) async fn close_ends_consumers_and_refuses_what_comes_after<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("close").await?;
    let mut consumer = connection.consume(&queue, 1).await?;
    let (ended, closed) = tokio::join!(consumer.ends(), connection.close());
    ended?;
    closed?;
    consumer.ends().await?;
    is_closed("publishing", connection.try_publish(Publish::new(queue.name(), task(numbered(1)))).await?)?;
    is_closed("consuming", connection.try_consume(&queue, 1).await?)?;
    is_closed("declaring", connection.try_declare(&queue).await?)?;
    is_closed("inspecting", connection.try_inspect(queue.name()).await?)
}

fn is_closed<T: fmt::Debug>(what: &str, outcome: Result<T, BrokerError>) -> CaseResult {
    match outcome {
        Err(BrokerError::Closed) => Ok(()),
        other => Err(NotPassed::Broken(format!("{what} after closing should be Closed; it gave {other:?}"))),
    }
}

/// Closing one connection gives back what its consumers held, keeps what it published, and leaves others alone.
pub(crate) async fn what_was_unsettled_at_close_comes_again<H: Harness>(scene: &Scene<H>) -> CaseResult {
    scene.needs_outliving_close()?;
    let (connection, queue) = scene.open("unsettled").await?;
    let other = scene.connect().await?;
    for publish in publishes(&queue, 1..=5) {
        connection.publish(publish).await?;
    }
    let mut consumer = connection.consume(&queue, 3).await?;
    let held = consumer.take(2).await?;
    let mut next = other.consume(&queue, 5).await?;
    connection.close().await?;
    takes_all(&mut next, 1..=5).await?;
    drop(held);
    other.publish_to(&queue, numbered(6)).await?;
    next.next_is(6).await?.ack();
    other.sees_nothing_left(&queue).await
}

/// After a cut connection a consumer goes on by itself, with its prefetch, and publishing works again; nothing is lost.
/// Three times in a row.
pub(crate) async fn consuming_resumes_after_an_interruption<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("resume").await?;
    let mut consumer = connection.consume(&queue, 3).await?;
    for round in 0..3 {
        let numbers = round * 10..round * 10 + 10;
        for number in numbers.clone() {
            publish_in_the_end(scene, &connection, &queue, number).await?;
        }
        let lost = consumer.take(2).await?;
        scene.interrupt().await?;
        takes_each(&mut consumer, numbers.collect()).await?;
        drop(lost);
        keeps_prefetch(scene, &connection, &queue, &mut consumer).await?;
    }
    connection.sees(&queue, "there is one consumer", |info| info.consumers == 1).await?;
    takes_the_rest(&connection, &queue, &mut consumer).await
}

/// Publishes, trying again while the broker says that this may help.
async fn publish_in_the_end<H: Harness>(
    scene: &Scene<H>,
    connection: &Connection<H::Broker>,
    queue: &QueueSpec,
    number: u64,
) -> CaseResult {
    let publishing = eventually(scene.patience(), async || {
        let publish = Publish::new(queue.name(), task(numbered(number)));
        match connection.broker.publish(publish).await {
            Ok(()) => Some(Ok(())),
            Err(error) if error.is_retryable() => None,
            Err(error) => Some(Err(NotPassed::Broken(format!("publishing around an interruption failed: {error:?}")))),
        }
    });
    publishing.await.unwrap_or_else(|| Err(NotPassed::silent("publishing around an interruption", scene.patience())))
}

/// Takes and acks until each of these has come. What was on its way when the connection was cut may come twice.
async fn takes_each(consumer: &mut Taker, mut wanted: BTreeSet<u64>) -> CaseResult {
    while !wanted.is_empty() {
        let delivery = consumer.next().await?;
        wanted.remove(&number_of(message_of(&delivery)?)?);
        delivery.ack();
    }
    Ok(())
}

/// Takes and acks whatever comes until the queue holds nothing.
async fn takes_the_rest<B: Broker>(connection: &Connection<B>, queue: &QueueSpec, consumer: &mut Taker) -> CaseResult {
    let taking = async {
        loop {
            consumer.next_without_limit().await?.ack();
        }
    };
    tokio::select! {
        ended = taking => ended,
        seen = connection.sees_nothing_left(queue) => seen,
    }
}

async fn keeps_prefetch<H: Harness>(
    scene: &Scene<H>,
    connection: &Connection<H::Broker>,
    queue: &QueueSpec,
    consumer: &mut Taker,
) -> CaseResult {
    let numbers = 1000..1006;
    for number in numbers.clone() {
        publish_in_the_end(scene, connection, queue, number).await?;
    }
    let held = within(scene.patience(), "taking after an interruption", consumer.take(3)).await??;
    consumer.stays_quiet("after an interruption the prefetch is still 3").await?;
    drop(held);
    takes_each(consumer, numbers.collect()).await
}
