//! Which frames pass.

use super::{
    Way,
    connection::{Connection, Order},
    inject,
    rules::{Action, ActiveRule},
    shared::Shared,
};
use crate::amqp::frame::{Frame, Frames, Kind};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// One way of a connection of AMQP.
#[derive(Debug)]
pub(super) struct Sieve {
    way: Way,
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    frames: Frames,
    stage: Stage,
    /// Messages whose method has come, by channel.
    messages: HashMap<u16, Message>,
    /// Channels that the proxy has closed, until the sender agrees.
    closed: HashSet<u16>,
    /// What is to be said when the message that is under way on its channel is whole.
    waiting: Vec<Vec<Frame>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client has not said yet which protocol it speaks.
    Protocol,
    Frames,
    /// Something else than frames.
    Raw,
}

/// A method on its way, and the message that it brings.
#[derive(Debug)]
struct Message {
    treatment: Treatment,
    /// How much of the body is missing; nobody knows before the header has come.
    missing: Option<u64>,
    gathered: Vec<Frame>,
}

#[derive(Debug, Clone)]
enum Treatment {
    Pass,
    Swallow,
    Hold(Arc<ActiveRule>),
    Duplicate,
    CutAfter,
}

/// What passes of what came.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    pub(super) bytes: Vec<u8>,
    /// The connection ends when these have been passed on.
    pub(super) ends: bool,
}

impl Sieve {
    pub(super) fn new(way: Way, shared: Arc<Shared>, connection: Arc<Connection>) -> Sieve {
        let stage = if way == Way::ToServer { Stage::Protocol } else { Stage::Frames };
        Sieve {
            way,
            shared,
            connection,
            frames: Frames::default(),
            stage,
            messages: HashMap::new(),
            closed: HashSet::new(),
            waiting: Vec::new(),
        }
    }

    pub(super) fn sift(&mut self, bytes: &[u8]) -> Sifted {
        let mut sifted = Sifted::default();
        self.frames.push(bytes);
        while !sifted.ends {
            match self.stage {
                Stage::Protocol => match self.frames.protocol() {
                    Ok(Some(protocol)) => {
                        sifted.bytes.extend(protocol);
                        self.stage = Stage::Frames;
                    }
                    Ok(None) => break,
                    Err(_) => self.stage = Stage::Raw,
                },
                Stage::Frames => match self.frames.next() {
                    Ok(Some(frame)) => self.take(frame, &mut sifted),
                    Ok(None) => break,
                    Err(_) => self.stage = Stage::Raw,
                },
                Stage::Raw => {
                    sifted.bytes.extend(self.frames.rest());
                    break;
                }
            }
        }
        sifted
    }

    /// Says what the sender has not said, as soon as no message is under way on that channel.
    pub(super) fn say(&mut self, frames: Vec<Frame>) -> Vec<u8> {
        let mut sifted = Sifted::default();
        self.say_into(frames, &mut sifted);
        sifted.bytes
    }

    fn say_into(&mut self, frames: Vec<Frame>, sifted: &mut Sifted) {
        let Some(first) = frames.first() else { return };
        let channel = first.channel();
        if self.messages.contains_key(&channel) {
            self.waiting.push(frames);
            return;
        }
        match first.kind() {
            Kind::Method { class: 20, method: 40 } => {
                self.connection.talk().channel_ends(channel);
                self.closed.insert(channel);
            }
            Kind::Method { class: 60, method: 30 } if self.way == Way::ToClient => {
                let tag = first.arguments().short_text().unwrap_or_default().to_vec();
                self.connection.talk().cancel(super::talk::Consumer { channel, tag });
            }
            _ => {}
        }
        frames.iter().for_each(|frame| sifted.bytes.extend(frame.bytes()));
    }

    fn take(&mut self, frame: Frame, sifted: &mut Sifted) {
        if self.closed.contains(&frame.channel()) {
            return self.take_of_closed_channel(&frame);
        }
        match frame.kind() {
            Kind::Method { class, method } => self.take_method(frame, (class, method), sifted),
            Kind::ContentHeader { body } => self.take_content(frame, |_| Some(body), sifted),
            Kind::Body => {
                let size = frame.payload().len() as u64;
                self.take_content(frame, |missing| missing.map(|missing| missing.saturating_sub(size)), sifted);
            }
            Kind::Heartbeat | Kind::Unknown => sifted.bytes.extend(frame.bytes()),
        }
    }

    /// The sender does not know yet that its channel is closed, or agrees.
    fn take_of_closed_channel(&mut self, frame: &Frame) {
        let channel = frame.channel();
        match frame.kind() {
            Kind::Method { class: 20, method: 41 } => drop(self.closed.remove(&channel)),
            // It closes the channel at the same time, and waits to hear that.
            Kind::Method { class: 20, method: 40 } => {
                self.connection.order(self.way.back(), Order::Say(vec![inject::channel_close_ok(channel)]));
            }
            _ => self.shared.counters.swallowed(),
        }
    }

    fn take_method(&mut self, frame: Frame, method: (u16, u16), sifted: &mut Sifted) {
        let channel = frame.channel();
        self.connection.talk().hear(self.way, &frame);
        let treatment = match self.decide(method) {
            None if self.is_stray(&frame) => Treatment::Swallow,
            None => Treatment::Pass,
            Some((Action::Swallow, _)) => Treatment::Swallow,
            Some((Action::Duplicate, _)) => Treatment::Duplicate,
            Some((Action::Hold, rule)) => Treatment::Hold(rule),
            Some((Action::CutAfter, _)) => Treatment::CutAfter,
            Some((Action::CutBefore, _)) => {
                sifted.ends = true;
                return;
            }
            Some((Action::CutInside, _)) => {
                sifted.bytes.extend(&frame.bytes()[..frame.bytes().len() / 2]);
                sifted.ends = true;
                return;
            }
            Some((Action::CloseChannel { code, text }, _)) => {
                self.shared.counters.swallowed();
                let close = inject::channel_close(channel, code, &text);
                self.connection.order(self.way.back(), Order::Say(vec![close]));
                return self.say_into(vec![inject::leave(channel)], sifted);
            }
        };
        let message = Message { treatment, missing: None, gathered: Vec::new() };
        self.messages.insert(channel, message);
        let brings_message = matches!(method, (60, 40 | 50 | 60 | 71));
        let missing = if brings_message { None } else { Some(0) };
        self.take_content(frame, |_| missing, sifted);
    }

    fn decide(&self, method: (u16, u16)) -> Option<(Action, Arc<ActiveRule>)> {
        self.shared.decide(self.connection.talk().name(), self.way, method)
    }

    /// Whether this is a delivery to a consumer that the proxy has cancelled. It goes back to its queue.
    fn is_stray(&self, frame: &Frame) -> bool {
        let stray = self.connection.talk().stray(frame);
        let (Way::ToClient, Some(delivery)) = (self.way, stray) else { return false };
        self.connection.order(Way::ToServer, Order::Say(vec![inject::requeue(frame.channel(), delivery)]));
        true
    }

    /// A part of the message that is under way on its channel.
    fn take_content(&mut self, frame: Frame, missing: impl FnOnce(Option<u64>) -> Option<u64>, sifted: &mut Sifted) {
        let channel = frame.channel();
        let Some(mut message) = self.messages.remove(&channel) else {
            return sifted.bytes.extend(frame.bytes());
        };
        message.missing = missing(message.missing);
        match message.treatment {
            Treatment::Pass | Treatment::CutAfter => sifted.bytes.extend(frame.bytes()),
            Treatment::Swallow => self.shared.counters.swallowed(),
            Treatment::Hold(_) | Treatment::Duplicate => message.gathered.push(frame),
        }
        if message.missing == Some(0) {
            self.finish(channel, message, sifted);
        } else {
            self.messages.insert(channel, message);
        }
    }

    /// A message is whole.
    fn finish(&mut self, channel: u16, message: Message, sifted: &mut Sifted) {
        let mut pass = |frames: &[Frame]| frames.iter().for_each(|frame| sifted.bytes.extend(frame.bytes()));
        match message.treatment {
            Treatment::Pass | Treatment::Swallow => {}
            Treatment::Duplicate => {
                pass(&message.gathered);
                pass(&message.gathered);
            }
            Treatment::Hold(rule) => {
                if let Some(frames) = rule.keep(&self.connection, channel, message.gathered) {
                    pass(&frames);
                }
            }
            Treatment::CutAfter => sifted.ends = true,
        }
        let of_channel = |frames: &Vec<Frame>| frames.first().is_some_and(|frame| frame.channel() == channel);
        let (now, later) = std::mem::take(&mut self.waiting).into_iter().partition(of_channel);
        self.waiting = later;
        let now: Vec<Vec<Frame>> = now;
        now.into_iter().for_each(|frames| self.say_into(frames, sifted));
    }
}
