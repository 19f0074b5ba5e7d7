//! The messages that taskq publishes, made by hand: same properties, same headers, same body, same routing.
//!
//! The test `the_floor_says_what_taskq_says` holds them beside each other.

use crate::{
    clock,
    protocol::{Place, Task},
};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use std::collections::BTreeMap;

/// Milliseconds in one tick of a delay, and the number of delay levels.
const TICK: u64 = 100;
const LEVELS: u32 = 28;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Makes messages that differ in their ids and their argument.
pub(super) struct Envelopes {
    template: BasicProperties,
    /// Different in each process.
    ids: u128,
    text: String,
}

impl Envelopes {
    pub(super) fn new(place: &Place, task: Task, delay_millis: u64) -> Self {
        let retry = if task == Task::Fails { 1 } else { 0 };
        let mut headers: BTreeMap<ShortString, AMQPValue> = [
            ("taskq-v", AMQPValue::LongLongInt(1)),
            ("taskq-attempt", AMQPValue::LongLongInt(1)),
            ("taskq-retry", AMQPValue::LongLongInt(retry)),
            ("traceparent", AMQPValue::LongString(TRACEPARENT.into())),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect();
        if delay_millis > 0 {
            let due = clock::unix_millis() + delay_millis;
            headers.insert("taskq-eta".into(), AMQPValue::LongLongInt(due.cast_signed()));
        }
        let template = BasicProperties::default()
            .with_delivery_mode(2)
            .with_type(name_of(task, place.text).into())
            .with_content_type("application/msgpack".into())
            .with_timestamp(clock::unix_millis() / 1_000)
            .with_headers(FieldTable::from(headers));
        let ids = u128::from(clock::now()) << 64 | u128::from(std::process::id()) << 32;
        Envelopes { template, ids, text: "x".repeat(place.text) }
    }

    /// The properties of the next message, and its id.
    pub(super) fn next(&mut self) -> (BasicProperties, ShortString) {
        self.ids += 1;
        let id = ShortString::from(format!("{:032x}", self.ids));
        (self.template.clone().with_message_id(id.clone()).with_correlation_id(id.clone()), id)
    }

    /// A map by name: `n`, and a text where there is one.
    pub(super) fn body(&self, n: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(24 + self.text.len());
        body.extend([if self.text.is_empty() { 0x81 } else { 0x82 }, 0xa1, b'n']);
        put_number(&mut body, n);
        if !self.text.is_empty() {
            body.extend([0xa4]);
            body.extend(b"text");
            put_text(&mut body, &self.text);
        }
        body
    }
}

/// The name of a task on the wire.
pub(super) fn name_of(task: Task, text: usize) -> &'static str {
    match (task, text) {
        (Task::Kept, 0) => "load.kept",
        (Task::Kept, _) => "load.kept_text",
        (Task::Forgotten, 0) => "load.forgotten",
        (Task::Forgotten, _) => "load.forgotten_text",
        (Task::Fails, _) => "load.fails",
        (Task::Sleeps, _) => "load.sleeps",
    }
}

/// The properties of the second attempt, from those of the first.
pub(super) fn retried(properties: &BasicProperties, due: u64) -> BasicProperties {
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert("taskq-attempt".into(), AMQPValue::LongLongInt(2));
    headers.insert("taskq-eta".into(), AMQPValue::LongLongInt(due.cast_signed()));
    headers.insert("taskq-first-failed".into(), AMQPValue::LongLongInt(clock::unix_millis().cast_signed()));
    properties.clone().with_headers(headers)
}

/// The argument `n` of a body.
pub(super) fn argument(body: &[u8]) -> u64 {
    match body.get(3..) {
        Some([0xcf, rest @ ..]) => rest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)),
        Some([0xce, rest @ ..]) => rest.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes).into()),
        Some([0xcd, rest @ ..]) => rest.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes).into()),
        Some([0xcc, small, ..] | [small, ..]) => u64::from(*small),
        _ => 0,
    }
}

/// The exchange and the routing key of a message that is delayed by so much.
pub(super) fn route(queue: &str, delay_millis: u64) -> (ShortString, ShortString) {
    let ticks = u32::try_from(delay_millis.div_ceil(TICK)).unwrap_or(u32::MAX);
    if ticks == 0 {
        return (ShortString::default(), queue.into());
    }
    let mut key = String::with_capacity(2 * LEVELS as usize + queue.len());
    for bit in (0..LEVELS).rev() {
        key.push_str(if ticks >> bit & 1 == 1 { "1." } else { "0." });
    }
    key.push_str(queue);
    (format!("taskq.v1.delay.{:02}", 31 - ticks.leading_zeros()).into(), key.into())
}

/// In as few bytes as MessagePack needs.
fn put_number(bytes: &mut Vec<u8>, n: u64) {
    match (u8::try_from(n), u16::try_from(n), u32::try_from(n)) {
        (Ok(n @ 0..=0x7f), ..) => bytes.push(n),
        (Ok(n), ..) => bytes.extend([0xcc, n]),
        (_, Ok(n), _) => {
            bytes.push(0xcd);
            bytes.extend(n.to_be_bytes());
        }
        (_, _, Ok(n)) => {
            bytes.push(0xce);
            bytes.extend(n.to_be_bytes());
        }
        _ => {
            bytes.push(0xcf);
            bytes.extend(n.to_be_bytes());
        }
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = text.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=31), _) => bytes.push(0xa0 | length),
        (Ok(length), _) => bytes.extend([0xd9, length]),
        (_, Ok(length)) => {
            bytes.push(0xda);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(0xdb);
            bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    bytes.extend(text.as_bytes());
}
