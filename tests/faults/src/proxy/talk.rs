//! What a proxy knows of a connection from listening to it.

use super::Way;
use crate::amqp::frame::{Frame, Kind};
use std::collections::{BTreeSet, HashMap};

#[derive(Debug, Default)]
pub(super) struct Talk {
    name: Option<String>,
    is_open: bool,
    channels: BTreeSet<u16>,
    /// How many channels of each number have ended.
    ended: HashMap<u16, u64>,
    consumers: Vec<Consumer>,
    /// Those that were cancelled by the proxy: the server may not know yet.
    cancelled: Vec<Consumer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consumer {
    pub(super) channel: u16,
    pub(super) tag: Vec<u8>,
}

impl Talk {
    /// What the client calls itself, once it has said so.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether the handshake is over.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn channels(&self) -> Vec<u16> {
        self.channels.iter().copied().collect()
    }

    pub(super) fn consumers(&self) -> Vec<Consumer> {
        self.consumers.clone()
    }

    pub(super) fn life_of(&self, channel: u16) -> u64 {
        self.ended.get(&channel).copied().unwrap_or_default()
    }

    pub(super) fn hear(&mut self, way: Way, frame: &Frame) {
        let Kind::Method { class, method } = frame.kind() else { return };
        let (channel, mut arguments) = (frame.channel(), frame.arguments());
        match (way, class, method) {
            (Way::ToServer, 10, 11) => {
                let name = arguments.text_in_table(b"connection_name");
                self.name = name.map(|name| String::from_utf8_lossy(name).into_owned());
            }
            (Way::ToClient, 10, 41) => self.is_open = true,
            (Way::ToClient, 20, 11) => drop(self.channels.insert(channel)),
            (_, 20, 40 | 41) => self.channel_ends(channel),
            (Way::ToClient, 60, 21) => {
                let consumer = Consumer { channel, tag: arguments.short_text().unwrap_or_default().to_vec() };
                self.cancelled.retain(|other| *other != consumer);
                self.consumers.push(consumer);
            }
            (_, 60, 30 | 31) => {
                let tag = arguments.short_text().unwrap_or_default();
                self.consumers.retain(|consumer| consumer.channel != channel || consumer.tag != tag);
            }
            _ => {}
        }
    }

    pub(super) fn channel_ends(&mut self, channel: u16) {
        if self.channels.remove(&channel) {
            *self.ended.entry(channel).or_default() += 1;
        }
        self.consumers.retain(|consumer| consumer.channel != channel);
        self.cancelled.retain(|consumer| consumer.channel != channel);
    }

    pub(super) fn cancel(&mut self, consumer: Consumer) {
        self.consumers.retain(|other| *other != consumer);
        self.cancelled.push(consumer);
    }

    /// The tag of a delivery to a consumer that the proxy has cancelled.
    pub(super) fn stray(&self, frame: &Frame) -> Option<u64> {
        if self.cancelled.is_empty() || frame.kind() != (Kind::Method { class: 60, method: 60 }) {
            return None;
        }
        let mut arguments = frame.arguments();
        let consumer = Consumer { channel: frame.channel(), tag: arguments.short_text()?.to_vec() };
        self.cancelled.contains(&consumer).then(|| arguments.long_long()).flatten()
    }
}
