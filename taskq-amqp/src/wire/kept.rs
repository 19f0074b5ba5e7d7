//! A planted bug: what the server writes about a message's way is sent along when the message is published again.

use super::given;
use lapin::{
    BasicProperties,
    types::{AMQPValue, ShortString},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{LazyLock, Mutex, PoisonError},
};

static KEPT: LazyLock<Mutex<HashMap<String, AMQPValue>>> = LazyLock::new(Mutex::default);

pub(super) fn take(properties: &BasicProperties) {
    let death = properties.headers().as_ref().and_then(|headers| headers.inner().get("x-death"));
    if let (Some(id), Some(death)) = (given(properties.message_id()), death) {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), death.clone());
    }
}

pub(super) fn put(id: &str, headers: &mut BTreeMap<ShortString, AMQPValue>) {
    if let Some(death) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
        headers.insert("x-death".into(), death);
    }
}
