//! The mapping between an AMQP message and ours: the only place that knows which property or header holds what.

#[cfg(taskq_bug = "keep_x_death")]
mod kept;
mod value;

use crate::error::too_long;
use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use std::{borrow::Cow, collections::BTreeMap};
use taskq_core::{
    BrokerError, Content, ContentType, Epitaph, FailureKind, Foreign, Message, TaskFailure, TaskId, TraceContext,
    UnixMillis, defaults::MAX_LABELS, wire,
};

use value::{given, number_of, text_of};

/// Written to disk by the server before it is confirmed.
const PERSISTENT: u8 = 2;

/// What a foreign message's properties are called among its headers, so that they are not lost on the way through us.
const PROPERTY: &str = "amqp.";

/// All properties but the headers, and the frame itself: five short strings of ours and some numbers.
const PROPERTIES: usize = 2048;

/// A header besides its name and its text: the type, and the lengths of both.
const ENTRY: usize = 6;

/// A number, beyond what counts as the length of a text.
const NUMBER: usize = 4;

/// Bytes of a dead letter's error chain. Control characters take six each, and all headers share one frame.
const MAX_CHAIN: usize = 48 * 1024;

/// The properties and headers of a message with this id.
///
/// # Errors
/// [`BrokerError::Unsupported`] for a name that AMQP has no room for.
pub(crate) fn properties(
    content: &Content,
    epitaph: Option<&Epitaph>,
    id: &TaskId,
) -> Result<BasicProperties, BrokerError> {
    let properties =
        BasicProperties::default().with_message_id(short("the task id", id.as_str())?).with_delivery_mode(PERSISTENT);
    let mut headers = Headers::default();
    let properties = match content {
        Content::Task(message) => of_message(message, properties, &mut headers)?,
        Content::Foreign(foreign) => of_foreign(foreign, properties, &mut headers)?,
    };
    if let Some(epitaph) = epitaph {
        headers.epitaph(epitaph);
    }
    #[cfg(taskq_bug = "keep_x_death")]
    kept::put(id.as_str(), &mut headers.0);
    Ok(properties.with_headers(headers.0.into()))
}

/// How many bytes of the one frame that holds them properties and headers take, at most.
pub(crate) fn size(properties: &BasicProperties) -> usize {
    let headers = properties.headers().as_ref().map(FieldTable::inner);
    let size_of = |(name, value): (&ShortString, &AMQPValue)| {
        let value = if let AMQPValue::LongString(text) = value { text.as_bytes().len() } else { NUMBER };
        name.as_str().len() + value + ENTRY
    };
    PROPERTIES + headers.into_iter().flatten().map(size_of).sum::<usize>()
}

/// What a message of these properties and this body says.
pub(crate) fn content(properties: &BasicProperties, body: Bytes) -> (Content, Option<Box<Epitaph>>) {
    let headers = Received::of(properties);
    let epitaph = headers.epitaph().map(Box::new);
    #[cfg(taskq_bug = "keep_x_death")]
    kept::take(properties);
    match headers.message(properties) {
        // A body that nobody else has takes less room.
        Ok(mut message) => {
            message.body = body;
            (message.into(), epitaph)
        }
        Err(reason) => (headers.foreign(properties, body, reason).into(), epitaph),
    }
}

fn short(what: &str, text: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(text).map_err(|_| too_long(what))
}

fn of_message(
    message: &Message,
    properties: BasicProperties,
    headers: &mut Headers,
) -> Result<BasicProperties, BrokerError> {
    headers.number(wire::HEADER_VERSION, wire::VERSION.into());
    headers.number(wire::HEADER_ATTEMPT, message.attempt.into());
    headers.number(wire::HEADER_RETRY, message.retry.into());
    headers.number_if_any(wire::HEADER_ROUND, message.round);
    headers.number_if_any(wire::HEADER_UNKNOWN, message.unknown);
    headers.flag(wire::HEADER_CHECK, message.check);
    headers.flag(wire::HEADER_REPUBLISHED, message.republished);
    headers.flag(wire::HEADER_TRACK, message.track);
    headers.instant(wire::HEADER_ETA, message.eta);
    headers.instant(wire::HEADER_EXPIRES, message.expires);
    headers.instant(wire::HEADER_FIRST_FAILED, message.first_failed);
    if let Some(traceparent) = message.traceparent {
        headers.text(wire::HEADER_TRACEPARENT, traceparent.to_string());
    }
    for (name, value) in &message.labels {
        headers.0.insert(short("the name of a label", name)?, AMQPValue::LongString(value.as_str().into()));
    }
    let properties = properties
        .with_type(short("the task's name", &message.task)?)
        .with_content_type(message.content_type.as_str().into())
        .with_correlation_id(short("the root's id", message.root.as_str())?)
        .with_timestamp(message.created.0 / 1000);
    Ok(match message.priority {
        Some(priority) => properties.with_priority(priority),
        None => properties,
    })
}

fn of_foreign(
    foreign: &Foreign,
    mut properties: BasicProperties,
    headers: &mut Headers,
) -> Result<BasicProperties, BrokerError> {
    if let Some(content_type) = &foreign.content_type {
        properties = properties.with_content_type(short("the content type", content_type)?);
    }
    let mut room = MAX_LABELS;
    for (name, value) in &foreign.headers {
        // All headers must fit one frame; those of a message that came by another way may not.
        let Some(left) = room.checked_sub(name.len() + value.len()) else { continue };
        room = left;
        match name.strip_prefix(PROPERTY) {
            Some(property) => properties = with_property(properties, property, value),
            None => drop(
                headers.0.insert(short("the name of a header", name)?, AMQPValue::LongString(value.as_str().into())),
            ),
        }
    }
    Ok(properties)
}

fn with_property(properties: BasicProperties, name: &str, value: &str) -> BasicProperties {
    let Ok(text) = ShortString::try_new(value) else { return properties };
    match name {
        "type" => properties.with_type(text),
        "content_encoding" => properties.with_content_encoding(text),
        "correlation_id" => properties.with_correlation_id(text),
        "reply_to" => properties.with_reply_to(text),
        "app_id" => properties.with_app_id(text),
        "timestamp" => value.parse().map_or(properties.clone(), |seconds| properties.with_timestamp(seconds)),
        "priority" => value.parse().map_or(properties.clone(), |priority| properties.with_priority(priority)),
        _ => properties,
    }
}

/// Headers being written.
#[derive(Default)]
struct Headers(BTreeMap<ShortString, AMQPValue>);

impl Headers {
    fn number(&mut self, name: &'static str, number: u64) {
        self.0.insert(name.into(), AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    fn number_if_any(&mut self, name: &'static str, number: u32) {
        if number > 0 {
            self.number(name, number.into());
        }
    }

    fn instant(&mut self, name: &'static str, instant: Option<UnixMillis>) {
        if let Some(UnixMillis(millis)) = instant {
            self.number(name, millis);
        }
    }

    fn flag(&mut self, name: &'static str, is_set: bool) {
        if is_set {
            self.0.insert(name.into(), AMQPValue::Boolean(true));
        }
    }

    fn text(&mut self, name: &'static str, text: impl Into<LongString>) {
        self.0.insert(name.into(), AMQPValue::LongString(text.into()));
    }

    fn epitaph(&mut self, epitaph: &Epitaph) {
        let failure = &epitaph.failure;
        self.text(wire::HEADER_DEAD_KIND, failure.kind.as_str());
        self.text(wire::HEADER_DEAD_ERROR, failure.message.as_str());
        self.text(wire::HEADER_DEAD_CHAIN, chain(&failure.chain));
        self.number(wire::HEADER_DEAD_ATTEMPTS, failure.attempts.into());
        self.text(wire::HEADER_DEAD_QUEUE, epitaph.queue.as_str());
        self.instant(wire::HEADER_DEAD_FIRST, Some(epitaph.first_failed));
        self.instant(wire::HEADER_DEAD_LAST, Some(epitaph.last_failed));
    }
}

/// The outermost sources that there is room for, as a JSON list.
fn chain(sources: &[String]) -> String {
    let lists = (0..=sources.len()).rev().filter_map(|count| serde_json::to_string(&sources[..count]).ok());
    lists.into_iter().find(|list| list.len() <= MAX_CHAIN).unwrap_or_default()
}

/// Headers that came.
struct Received<'a>(Option<&'a BTreeMap<ShortString, AMQPValue>>);

impl<'a> Received<'a> {
    fn of(properties: &'a BasicProperties) -> Self {
        Received(properties.headers().as_ref().map(FieldTable::inner))
    }

    fn get(&self, name: &str) -> Option<&'a AMQPValue> {
        self.0?.get(name)
    }

    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).map(text_of)
    }

    /// All but the body.
    fn message(&self, properties: &BasicProperties) -> Result<Message, String> {
        let version =
            self.get(wire::HEADER_VERSION).ok_or("it has no header `taskq-v`: it is not a message of taskq")?;
        let version = number(wire::HEADER_VERSION, version)?;
        if version == 0 || version > wire::VERSION.into() {
            return Err(format!("it has format version {version}, and this worker reads up to {}", wire::VERSION));
        }
        if let Some(encoding) = given(properties.content_encoding()) {
            return Err(format!("its content encoding `{encoding}` is unknown"));
        }
        let content_type = given(properties.content_type()).ok_or("it has no content type")?;
        let content_type =
            ContentType::parse(content_type).ok_or_else(|| format!("its content type `{content_type}` is unknown"))?;
        let task = given(properties.kind()).ok_or("it names no task")?;
        let made = properties.timestamp().map(|seconds| UnixMillis(seconds.saturating_mul(1000)));
        let made = made.unwrap_or_else(UnixMillis::now);
        let mut message = Message::made_at(made, id_of(properties)?, task.to_owned(), content_type, Bytes::new());
        message.priority = *properties.priority();
        for (name, value) in self.0.into_iter().flatten() {
            take_over(&mut message, name.as_str(), value)?;
        }
        if let Some(root) = given(properties.correlation_id())
            && root != message.root.as_str()
        {
            message.root = root.into();
        }
        Ok(message)
    }

    /// The headers that are neither the server's nor an epitaph's.
    fn of_sender(&self) -> BTreeMap<String, String> {
        let all = self.0.into_iter().flatten().map(|(name, value)| (name.as_str(), value));
        let of_sender = all.filter(|(name, _)| !is_of_epitaph(name) && !is_servers(name));
        of_sender.map(|(name, value)| (name.to_owned(), text_of(value).into_owned())).collect()
    }

    fn foreign(&self, properties: &BasicProperties, body: Bytes, reason: String) -> Foreign {
        let mut headers = self.of_sender();
        for (name, value) in other_properties(properties) {
            headers.insert(format!("{PROPERTY}{name}"), value);
        }
        let content_type = given(properties.content_type()).map(str::to_owned);
        Foreign { reason, id: id_of(properties).ok(), content_type, headers, body }
    }

    fn epitaph(&self) -> Option<Epitaph> {
        let kind = FailureKind::parse(&self.text(wire::HEADER_DEAD_KIND)?);
        let number = |name| self.get(name).and_then(number_of);
        let instant = |name| UnixMillis(number(name).unwrap_or_default());
        let attempts = number(wire::HEADER_DEAD_ATTEMPTS).and_then(|number| number.try_into().ok()).unwrap_or_default();
        let mut failure = TaskFailure::new(kind, self.text(wire::HEADER_DEAD_ERROR).unwrap_or_default(), attempts);
        let chain = self.text(wire::HEADER_DEAD_CHAIN).unwrap_or_default();
        failure.chain = serde_json::from_str(&chain).unwrap_or_default();
        Some(Epitaph {
            failure,
            queue: self.text(wire::HEADER_DEAD_QUEUE).unwrap_or_default().into_owned(),
            first_failed: instant(wire::HEADER_DEAD_FIRST),
            last_failed: instant(wire::HEADER_DEAD_LAST),
        })
    }
}

/// Takes one header over into the message that it came with.
fn take_over(message: &mut Message, name: &str, value: &AMQPValue) -> Result<(), String> {
    match name {
        wire::HEADER_ATTEMPT => message.attempt = small_number(name, value)?.max(1),
        wire::HEADER_RETRY => message.retry = small_number(name, value)?,
        wire::HEADER_ROUND => message.round = small_number(name, value)?,
        wire::HEADER_UNKNOWN => message.unknown = small_number(name, value)?,
        wire::HEADER_CHECK => message.check = flag(name, value)?,
        wire::HEADER_REPUBLISHED => message.republished = flag(name, value)?,
        wire::HEADER_TRACK => message.track = flag(name, value)?,
        wire::HEADER_ETA => message.eta = Some(UnixMillis(number(name, value)?)),
        wire::HEADER_EXPIRES => message.expires = Some(UnixMillis(number(name, value)?)),
        wire::HEADER_FIRST_FAILED => message.first_failed = Some(UnixMillis(number(name, value)?)),
        wire::HEADER_TRACEPARENT => message.traceparent = TraceContext::parse(&text_of(value)),
        name if name.starts_with(wire::PREFIX) || is_servers(name) => {}
        label => drop(message.labels.insert(label.to_owned(), text_of(value).into_owned())),
    }
    Ok(())
}

fn number(name: &str, value: &AMQPValue) -> Result<u64, String> {
    number_of(value).ok_or_else(|| format!("header `{name}` is not a number: {}", text_of(value)))
}

fn small_number(name: &str, value: &AMQPValue) -> Result<u32, String> {
    let number = number(name, value)?;
    u32::try_from(number).map_err(|_| format!("header `{name}` is too large a number: {number}"))
}

fn flag(name: &str, value: &AMQPValue) -> Result<bool, String> {
    match value {
        AMQPValue::Boolean(is_set) => Ok(*is_set),
        value => match &*text_of(value) {
            "true" => Ok(true),
            "false" => Ok(false),
            text => Err(format!("header `{name}` is neither true nor false: {text}")),
        },
    }
}

/// A header that the server adds. A message that is published with a server's `x-death` is taken for one that goes in circles
/// and is dropped at its next delay, by every RabbitMQ before 4.0.1.
fn is_servers(name: &str) -> bool {
    name.starts_with("x-") || matches!(name, "CC" | "BCC")
}

fn is_of_epitaph(name: &str) -> bool {
    name.starts_with("taskq-dead-")
}

/// The properties that [`Foreign`] has no field for.
fn other_properties(properties: &BasicProperties) -> impl Iterator<Item = (&'static str, String)> {
    let text = |property: &Option<ShortString>| given(property).map(str::to_owned);
    [
        ("type", text(properties.kind())),
        ("content_encoding", text(properties.content_encoding())),
        ("correlation_id", text(properties.correlation_id())),
        ("reply_to", text(properties.reply_to())),
        ("app_id", text(properties.app_id())),
        ("timestamp", properties.timestamp().map(|seconds| seconds.to_string())),
        ("priority", properties.priority().map(|priority| priority.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

fn id_of(properties: &BasicProperties) -> Result<TaskId, String> {
    let id = TaskId::from(given(properties.message_id()).ok_or("it has no message id")?);
    id.check().map_err(|reason| format!("its message id {reason}"))?;
    Ok(id)
}

#[cfg(test)]
mod tests;
