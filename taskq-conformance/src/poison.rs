//! Poison: a message that cannot be read is delivered as it came, and does not hold up others.

use crate::{
    CaseResult, Harness, NotPassed, Scene,
    messages::{epitaph, numbered},
    scene::within,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use taskq_core::{Content, Delivery, Foreign, Publish, QueueSpec, TaskId};

const GARBAGE: &[u8] = &[0xc1, 0xff, 0, b'}', b'{', 0xfe];

impl<H: Harness> Scene<H> {
    async fn inject(&self, queue: &QueueSpec, body: &'static [u8]) -> CaseResult {
        let injecting = self.harness().inject(queue.name(), Bytes::from_static(body));
        if within(self.patience(), "injecting", injecting).await? {
            return Ok(());
        }
        Err(NotPassed::LeftOut("the harness cannot inject messages that taskq did not write".into()))
    }
}

fn foreign_of(delivery: &Delivery) -> CaseResult<&Foreign> {
    match &delivery.content {
        Content::Foreign(foreign) => Ok(foreign),
        Content::Task(message) => {
            Err(NotPassed::Broken(format!("a message that cannot be read arrived as the task `{}`", message.task)))
        }
    }
}

/// A message without a readable envelope is delivered with its body untouched and a reason, and can be requeued and
/// acked like any other.
pub(crate) async fn an_unreadable_message_arrives_as_it_came<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("garbage").await?;
    scene.inject(&queue, GARBAGE).await?;
    let mut consumer = connection.consume(&queue, 1).await?;
    for redelivered in [false, true] {
        let delivery = consumer.next().await?;
        let foreign = foreign_of(&delivery)?;
        ensure!(foreign.body == GARBAGE, "the body {GARBAGE:?} arrived as {:?}", foreign.body);
        ensure!(!foreign.reason.is_empty(), "nothing says why the message could not be read");
        ensure!(delivery.redelivered == redelivered, "`redelivered` should be {redelivered}");
        if redelivered { delivery.ack() } else { delivery.requeue() }
    }
    connection.sees_nothing_left(&queue).await
}

/// A hundred unreadable messages do not keep a good one behind them from coming.
pub(crate) async fn unreadable_messages_do_not_hold_up_a_good_one<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("behind").await?;
    for _ in 0..100 {
        scene.inject(&queue, GARBAGE).await?;
    }
    connection.publish_to(&queue, numbered(1)).await?;
    let mut consumer = connection.consume(&queue, 5).await?;
    for _ in 0..100 {
        let delivery = consumer.next().await?;
        foreign_of(&delivery)?;
        delivery.ack();
    }
    consumer.next_is(1).await?.ack();
    connection.sees_nothing_left(&queue).await
}

/// An unreadable message can be published to the dead letters, and lies there as it came, with its epitaph.
pub(crate) async fn an_unreadable_message_can_be_dead_lettered<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("dead").await?;
    let published = Foreign {
        reason: "no envelope".into(),
        id: Some(TaskId::from("their-17")),
        content_type: Some("application/x-theirs".into()),
        headers: BTreeMap::from([("their-header".to_owned(), "ünï".to_owned())]),
        body: Bytes::from_static(GARBAGE),
    };
    let epitaph = epitaph(&queue);
    let dead = queue.dead_letters();
    let letter = Publish::new(dead.name(), Content::Foreign(published.clone().into()));
    connection.publish(letter.epitaph(Some(Box::new(epitaph.clone())))).await?;
    let delivery = connection.consume(&dead, 1).await?.next().await?;
    let arrived = foreign_of(&delivery)?;
    let same = arrived.body == published.body
        && arrived.id == published.id
        && arrived.content_type == published.content_type
        && published.headers.iter().all(|header| arrived.headers.get(header.0) == Some(header.1));
    ensure!(same, "the dead letter {published:?} arrived as {arrived:?}");
    ensure!(delivery.epitaph.as_deref() == Some(&epitaph), "{epitaph:?} arrived as {:?}", delivery.epitaph);
    delivery.ack();
    Ok(())
}
