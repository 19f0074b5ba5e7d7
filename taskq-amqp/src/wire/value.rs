//! Values of properties and headers, as other clients may write them.

use lapin::types::{AMQPValue, ShortString};
use std::borrow::Cow;

pub(super) fn given(property: &Option<ShortString>) -> Option<&str> {
    property.as_ref().map(ShortString::as_str).filter(|text| !text.is_empty())
}

/// Clients of other languages choose their own integer types, and a message that passed through us as a foreign one has
/// its numbers as text.
pub(super) fn number_of(value: &AMQPValue) -> Option<u64> {
    match value {
        AMQPValue::ShortShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortShortUInt(n) => Some(u64::from(*n)),
        AMQPValue::ShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortUInt(n) => Some(u64::from(*n)),
        AMQPValue::LongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongUInt(n) => Some(u64::from(*n)),
        AMQPValue::LongLongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongString(text) => str::from_utf8(text.as_bytes()).ok()?.parse().ok(),
        _ => None,
    }
}

pub(super) fn text_of(value: &AMQPValue) -> Cow<'_, str> {
    match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()),
        AMQPValue::ShortString(text) => Cow::Borrowed(text.as_str()),
        AMQPValue::Boolean(is_set) => Cow::Borrowed(if *is_set { "true" } else { "false" }),
        AMQPValue::Timestamp(seconds) => Cow::Owned(seconds.to_string()),
        AMQPValue::ShortShortInt(n) => Cow::Owned(n.to_string()),
        AMQPValue::ShortInt(n) => Cow::Owned(n.to_string()),
        AMQPValue::LongInt(n) => Cow::Owned(n.to_string()),
        AMQPValue::LongLongInt(n) => Cow::Owned(n.to_string()),
        AMQPValue::Float(n) => Cow::Owned(n.to_string()),
        AMQPValue::Double(n) => Cow::Owned(n.to_string()),
        AMQPValue::Void => Cow::Borrowed(""),
        other => match number_of(other) {
            Some(number) => Cow::Owned(number.to_string()),
            None => Cow::Owned(serde_json::to_string(other).unwrap_or_default()),
        },
    }
}
