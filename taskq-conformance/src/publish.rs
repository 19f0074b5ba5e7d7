//! Publishing: what was published arrives as it was, once the broker has said so, in order, and nowhere else.

use crate::{
    CaseResult, Harness, NotPassed, Scene,
    messages::{are_exactly, elaborate, epitaph, message_of, numbered, publishes, same, task, with_body},
    scene::{Connection, all_pass},
};
use bytes::Bytes;
use taskq_core::{Broker, BrokerError, ContentType, Delivery, Message, Publish, QueueSpec};
use tokio::task::JoinSet;

/// Every field of a message arrives, whichever way its body is encoded, and a first delivery is not `redelivered`.
pub(crate) async fn a_message_arrives_as_it_was_published<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("fields").await?;
    let plain = numbered(1);
    for message in [elaborate(ContentType::MessagePack), elaborate(ContentType::Json), plain] {
        arrives(&connection, &queue, message).await?;
    }
    Ok(())
}

async fn arrives<B: Broker>(connection: &Connection<B>, queue: &QueueSpec, message: Message) -> CaseResult {
    connection.publish_to(queue, message.clone()).await?;
    let mut consumer = connection.consume(queue, 1).await?;
    let delivery = consumer.next().await?;
    same(&message, message_of(&delivery)?)?;
    ensure!(!delivery.redelivered, "a first delivery is marked as redelivered");
    ensure!(delivery.epitaph.is_none(), "a message that is no dead letter arrived with an epitaph");
    delivery.ack();
    drop(consumer);
    // Until the broker knows that this consumer has gone it may deliver to it.
    connection.sees(queue, "nobody consumes", |info| info.consumers == 0).await
}

/// Any bytes may be a body: none at all, every value, no valid UTF-8.
pub(crate) async fn any_bytes_may_be_a_body<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("bytes").await?;
    let every_value: Vec<u8> = (0..=255).collect();
    for body in [Bytes::new(), Bytes::from(every_value), Bytes::from_static(&[0xff, 0xfe, 0, 0xc3, 0x28])] {
        arrives(&connection, &queue, with_body(body)).await?;
    }
    Ok(())
}

/// A body of 1 MiB, the largest that an app sends, arrives whole.
pub(crate) async fn a_body_of_one_mebibyte_arrives_whole<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("large").await?;
    let body: Vec<u8> = (0..taskq_core::defaults::MAX_BODY).map(|at| (at % 251) as u8).collect();
    arrives(&connection, &queue, with_body(Bytes::from(body))).await
}

/// A dead letter is an ordinary publish to the queue's dead letters; the message and its epitaph arrive.
pub(crate) async fn a_dead_letter_arrives_with_its_epitaph<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("epitaph").await?;
    let (dead, message, epitaph) = (queue.dead_letters(), elaborate(ContentType::MessagePack), epitaph(&queue));
    let letter = Publish::new(dead.name(), task(message.clone())).epitaph(Some(Box::new(epitaph.clone())));
    connection.publish(letter).await?;
    let mut consumer = connection.consume(&dead, 1).await?;
    let delivery = consumer.next().await?;
    same(&message, message_of(&delivery)?)?;
    let found = delivery.epitaph.clone();
    ensure!(found.as_deref() == Some(&epitaph), "the epitaph {epitaph:?} arrived as {found:?}");
    delivery.ack();
    Ok(())
}

/// A publish to a queue that does not exist is [`BrokerError::Unroutable`], every time: it does not create the queue.
pub(crate) async fn publishing_to_an_unknown_queue_is_unroutable_and_creates_nothing<H: Harness>(
    scene: &Scene<H>,
) -> CaseResult {
    let connection = scene.connect().await?;
    let unknown = scene.name("unknown");
    for time in ["first", "second"] {
        let outcome = connection.try_publish(Publish::new(&unknown, task(numbered(1)))).await?;
        is_unroutable(&format!("the {time} publish to an unknown queue"), outcome, &unknown)?;
    }
    is_unroutable("a look at that queue after it", connection.try_inspect(&unknown).await?, &unknown)
}

pub(crate) fn is_unroutable<T>(what: &str, outcome: Result<T, BrokerError>, queue: &str) -> CaseResult {
    match outcome {
        Err(BrokerError::Unroutable { queue: named }) if named == queue => Ok(()),
        Err(other) => {
            Err(NotPassed::Broken(format!("{what} should be Unroutable and name `{queue}`; it is {other:?}")))
        }
        Ok(_) => Err(NotPassed::Broken(format!("{what} should be Unroutable; it succeeded"))),
    }
}

/// When a publish resolves, the message is in the queue, for other connections too.
pub(crate) async fn a_publish_resolves_after_the_message_was_taken<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("taken").await?;
    let other = scene.connect().await?;
    for number in 1..=10 {
        connection.publish_to(&queue, numbered(number)).await?;
        let ready = other.inspect(&queue).await?.ready;
        ensure!(ready == number, "{number} publishes have resolved, and the queue holds {ready} messages");
    }
    Ok(())
}

/// One consumer receives what one producer published in the order of publishing.
pub(crate) async fn order_is_kept_for_one_consumer<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("order").await?;
    let mut consumer = connection.consume(&queue, 10).await?;
    for number in 0..200 {
        connection.publish_to(&queue, numbered(number)).await?;
    }
    for number in 0..200 {
        consumer.next_is(number).await?.ack();
    }
    Ok(())
}

/// A hundred publishes at once, from two connections: all arrive, each once.
pub(crate) async fn a_hundred_concurrent_publishes_all_arrive<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("concurrent").await?;
    let other = scene.connect().await?;
    let mut publishing = JoinSet::new();
    for (at, publish) in publishes(&queue, 0..100).into_iter().enumerate() {
        let connection = if at % 2 == 0 { connection.clone() } else { other.clone() };
        publishing.spawn(async move { connection.publish(publish).await });
    }
    all_pass(publishing).await?;
    arrive(&connection, &queue, (0..100).collect()).await
}

/// The queue holds exactly these messages, in any order.
async fn arrive<B: Broker>(connection: &Connection<B>, queue: &QueueSpec, wanted: Vec<u64>) -> CaseResult {
    let mut consumer = connection.consume(queue, 200).await?;
    let deliveries = consumer.take(wanted.len()).await?;
    are_exactly(&deliveries, wanted)?;
    deliveries.into_iter().for_each(Delivery::ack);
    consumer.stays_quiet("all messages have arrived").await
}

/// Of a hundred messages published together, five go to an unknown queue: exactly those five say so, in their places.
pub(crate) async fn publish_many_gives_one_outcome_each_in_order<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("many").await?;
    let unknown = scene.name("unknown");
    let astray = |number: &u64| number % 20 == 7;
    let mut publishes = publishes(&queue, 0..100);
    for number in (0..100).filter(astray) {
        publishes[number as usize].queue = unknown.as_str().into();
    }
    let outcomes = connection.publish_many(publishes).await?;
    ensure!(outcomes.len() == 100, "100 messages were published together, and {} outcomes came", outcomes.len());
    for (number, outcome) in (0..100).zip(outcomes) {
        match outcome {
            outcome if astray(&number) => is_unroutable(&format!("outcome {number}"), outcome, &unknown)?,
            Err(error) => return Err(NotPassed::Broken(format!("outcome {number} should be Ok; it is {error:?}"))),
            Ok(()) => {}
        }
    }
    arrive(&connection, &queue, (0..100).filter(|number| !astray(number)).collect()).await
}
