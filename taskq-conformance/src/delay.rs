//! Delays: never before they are due, and none held up by another.

use crate::{
    CaseResult, Harness, NotPassed, Scene,
    messages::{elaborate, message_of, number_of, numbered, same, task},
    publish::is_unroutable,
    scene::Connection,
};
use std::time::Duration;
use taskq_core::{BrokerError, ContentType, Origin, Publish, QueueSpec};
use tokio::time::Instant;

/// Long enough that a slow machine has published both messages of a case before the short one is due.
const LONG: Duration = Duration::from_secs(4);
const SHORT: Duration = Duration::from_millis(300);

async fn open<H: Harness>(scene: &Scene<H>, label: &str) -> CaseResult<(Connection<H::Broker>, QueueSpec)> {
    let (connection, queue) = scene.open(label).await?;
    connection.needs_delay()?;
    Ok((connection, queue))
}

fn delayed(queue: &str, number: u64, delay: Duration) -> Publish {
    Publish::new(queue, task(numbered(number))).delay(Some(delay))
}

/// A delayed message arrives, and not before it is due, whoever published it.
pub(crate) async fn a_delayed_message_does_not_come_before_it_is_due<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = open(scene, "due").await?;
    let mut consumer = connection.consume(&queue, 100).await?.longer_by(LONG);
    let mut due = Vec::new();
    for (number, millis) in (0..).zip([1, 99, 100, 101, 250, 800, 1300]) {
        for origin in [Origin::Caller, Origin::Task, Origin::Worker] {
            let delay = Duration::from_millis(millis);
            due.push((number, Instant::now() + delay));
            connection.publish(delayed(queue.name(), number, delay).origin(origin)).await?;
        }
    }
    while !due.is_empty() {
        let delivery = consumer.next().await?;
        let (now, number) = (Instant::now(), number_of(message_of(&delivery)?)?);
        // Three messages share a number; the latest of them that may have come stands for this delivery.
        let past = due.iter().rposition(|(of, at)| *of == number && *at <= now);
        let Some(past) = past else {
            return Err(NotPassed::Broken(format!("delayed message {number} came before it was due, or came twice")));
        };
        due.remove(past);
        delivery.ack();
    }
    consumer.stays_quiet("all delayed messages have come").await
}

/// A delayed message is the same when it comes.
pub(crate) async fn a_delayed_message_arrives_as_it_was_published<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = open(scene, "same").await?;
    let message = elaborate(ContentType::MessagePack);
    let publish = Publish::new(queue.name(), task(message.clone())).delay(Some(SHORT));
    connection.publish(publish).await?;
    let delivery = connection.consume(&queue, 1).await?.longer_by(LONG).next().await?;
    same(&message, message_of(&delivery)?)?;
    ensure!(!delivery.redelivered, "a delayed message that comes for the first time is marked as redelivered");
    delivery.ack();
    Ok(())
}

/// What is due first comes first: a short delay overtakes a long one, and no delay overtakes both.
pub(crate) async fn a_short_delay_is_not_held_up_by_a_long_one<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = open(scene, "overtaking").await?;
    let mut consumer = connection.consume(&queue, 1).await?.longer_by(LONG);
    connection.publish(delayed(queue.name(), 3, LONG)).await?;
    connection.publish(delayed(queue.name(), 2, SHORT)).await?;
    connection.publish_to(&queue, numbered(1)).await?;
    for number in 1..=3 {
        consumer.next_is(number).await?.ack();
    }
    connection.sees_nothing_left(&queue).await
}

/// A delayed publish to an unknown queue is refused at once, not when it is due.
pub(crate) async fn a_delayed_publish_to_an_unknown_queue_is_unroutable<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let connection = scene.connect().await?;
    connection.needs_delay()?;
    let unknown = scene.name("unknown");
    for time in ["first", "second"] {
        let outcome = connection.try_publish(delayed(&unknown, 1, SHORT)).await?;
        is_unroutable(&format!("the {time} delayed publish to an unknown queue"), outcome, &unknown)?;
    }
    is_unroutable("a look at that queue after it", connection.try_inspect(&unknown).await?, &unknown)
}

/// Delayed messages of `a.b` and `b` each come to their own queue.
pub(crate) async fn delayed_messages_come_to_their_own_queue<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, short) = open(scene, "b").await?;
    let long = scene.spec(&scene.keep(format!("a.{}", short.name())));
    connection.declare(&long).await?;
    let (mut of_short, mut of_long) =
        (connection.consume(&short, 5).await?.longer_by(LONG), connection.consume(&long, 5).await?.longer_by(LONG));
    connection.publish(delayed(short.name(), 1, SHORT)).await?;
    connection.publish(delayed(long.name(), 2, SHORT)).await?;
    of_short.next_is(1).await?.ack();
    of_long.next_is(2).await?.ack();
    of_short.stays_quiet("its one message has come").await?;
    of_long.stays_quiet("its one message has come").await
}

/// The broker keeps a delayed message, not the connection that published it.
pub(crate) async fn a_delayed_message_outlives_its_publisher<H: Harness>(scene: &Scene<H>) -> CaseResult {
    scene.needs_outliving_close()?;
    let (connection, queue) = open(scene, "publisher").await?;
    let other = scene.connect().await?;
    connection.publish(delayed(queue.name(), 1, SHORT)).await?;
    connection.close().await?;
    other.consume(&queue, 1).await?.longer_by(LONG).next_is(1).await?.ack();
    other.sees_nothing_left(&queue).await
}

/// A cut connection does not lose a delayed message, nor bring it early.
pub(crate) async fn a_delayed_message_outlives_an_interruption<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = open(scene, "interruption").await?;
    let mut consumer = connection.consume(&queue, 1).await?.longer_by(LONG);
    let due = Instant::now() + Duration::from_secs(1);
    connection.publish(delayed(queue.name(), 1, Duration::from_secs(1))).await?;
    scene.interrupt().await?;
    let delivery = consumer.next_is(1).await?;
    ensure!(Instant::now() >= due, "after an interruption the delayed message came before it was due");
    delivery.ack();
    connection.sees_nothing_left(&queue).await
}

/// A broker without delays refuses a delayed message, rather than delivering it at once.
pub(crate) async fn a_broker_without_delays_refuses_them<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("without").await?;
    if connection.capabilities().delay {
        return Err(NotPassed::LeftOut("this broker has delays".into()));
    }
    match connection.try_publish(delayed(queue.name(), 1, SHORT)).await? {
        Err(BrokerError::Unsupported { .. }) => connection.sees_nothing_left(&queue).await,
        other => Err(NotPassed::Broken(format!("a delay should be Unsupported here; the publish gave {other:?}"))),
    }
}
