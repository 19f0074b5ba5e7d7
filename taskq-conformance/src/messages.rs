//! The messages that cases publish, and how what arrives is compared with them.

use crate::{CaseResult, NotPassed};
use bytes::Bytes;
use std::{collections::BTreeSet, time::Duration};
use taskq_core::{
    Content, ContentType, Delivery, Epitaph, FailureKind, Message, Publish, QueueSpec, TaskFailure, TaskId,
    TraceContext, UnixMillis,
};

const TASK: &str = "conformance.task";

/// A message that says who it is by the number in its body.
pub(crate) fn numbered(number: u64) -> Message {
    with_body(Bytes::from(number.to_string()))
}

pub(crate) fn with_body(body: Bytes) -> Message {
    Message::new(TaskId::new(), TASK, ContentType::MessagePack, body)
}

/// A message with every field unlike its default. It has no priority, which only some queues take.
pub(crate) fn elaborate(content_type: ContentType) -> Message {
    let mut message = Message::new(TaskId::from("order 17/ünï"), "a.task::named-so", content_type, Bytes::from("{}"));
    let now = UnixMillis::now();
    message.attempt = 3;
    message.retry = 7;
    message.round = 2;
    message.check = true;
    message.track = true;
    message.eta = Some(UnixMillis(now.0 - 1234));
    message.expires = Some(now + Duration::from_secs(3600));
    message.first_failed = Some(UnixMillis(now.0 - 98_765));
    message.unknown = 4;
    message.root = TaskId::new();
    message.traceparent = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    message.labels = [("tenant", "acme"), ("größe", "ünï ✓"), ("empty", ""), ("n", "42")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    message
}

/// Why a message of `queue` lies among the dead letters.
pub(crate) fn epitaph(queue: &QueueSpec) -> Epitaph {
    let mut failure = TaskFailure::new(FailureKind::Timeout, "it took \"too\" long: ünï ✓", 3);
    failure.chain = vec!["the first cause".into(), "the second, with\na line break".into()];
    let now = UnixMillis::now();
    let first_failed = UnixMillis(now.0 - 98_765);
    Epitaph { failure, queue: queue.name().to_owned(), first_failed, last_failed: now }
}

pub(crate) fn task(message: Message) -> Content {
    Content::Task(message.into())
}

/// Publishes of the numbered messages `numbers`, all to one queue.
pub(crate) fn publishes(queue: &QueueSpec, numbers: impl IntoIterator<Item = u64>) -> Vec<Publish> {
    numbers.into_iter().map(|number| Publish::new(queue.name(), task(numbered(number)))).collect()
}

pub(crate) fn message_of(delivery: &Delivery) -> CaseResult<&Message> {
    match &delivery.content {
        Content::Task(message) => Ok(message),
        Content::Foreign(foreign) => {
            Err(NotPassed::Broken(format!("a task arrived as a foreign message, because: {}", foreign.reason)))
        }
    }
}

pub(crate) fn number_of(message: &Message) -> CaseResult<u64> {
    let number = str::from_utf8(&message.body).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| NotPassed::Broken(format!("a body arrived that nobody published: {:?}", message.body)))
}

/// Whether these deliveries are the numbered messages `wanted`, each once, in any order.
pub(crate) fn are_exactly(deliveries: &[Delivery], wanted: impl IntoIterator<Item = u64>) -> CaseResult {
    let mut missing: BTreeSet<u64> = wanted.into_iter().collect();
    let mut others = Vec::new();
    for delivery in deliveries {
        let number = number_of(message_of(delivery)?)?;
        if !missing.remove(&number) {
            others.push(number);
        }
    }
    let exact = missing.is_empty() && others.is_empty();
    ensure!(exact, "messages {missing:?} did not come; {others:?} came twice, or should not have come");
    Ok(())
}

/// Whether the message arrived as it was published. When it was made may have lost its milliseconds: AMQP carries seconds.
pub(crate) fn same(published: &Message, arrived: &Message) -> CaseResult {
    let (was, is) = (&published.body, &arrived.body);
    ensure!(
        was == is,
        "a body of {} bytes was published, and one of {} bytes arrived that differs",
        was.len(),
        is.len()
    );
    let seconds = (published.created.0 / 1000, arrived.created.0 / 1000);
    ensure!(seconds.0 == seconds.1, "a message of second {} arrived as one of second {}", seconds.0, seconds.1);
    let mut published = published.clone();
    published.created = arrived.created;
    ensure!(published == *arrived, "published: {:?}\n  arrived: {:?}", bodiless(&published), bodiless(arrived));
    Ok(())
}

/// The message for a person to read: its body may be large, and was compared already.
fn bodiless(message: &Message) -> Message {
    let mut message = message.clone();
    message.body = Bytes::new();
    message
}
