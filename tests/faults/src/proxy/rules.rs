//! What is done to frames of AMQP when they pass.

use super::{
    Way, Who,
    connection::{Connection, Order},
};
use crate::amqp::frame::Frame;
use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

/// A method of AMQP, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    class: u16,
    method: u16,
}

impl Method {
    /// The server has taken a message over; or the client is done with one.
    pub const BASIC_ACK: Method = Method::new(60, 80);
    /// The server has refused a message; or the client has.
    pub const BASIC_NACK: Method = Method::new(60, 120);
    /// The client refuses a message.
    pub const BASIC_REJECT: Method = Method::new(60, 90);
    /// The client publishes.
    pub const BASIC_PUBLISH: Method = Method::new(60, 40);
    /// The server gives a published message back: no queue takes it.
    pub const BASIC_RETURN: Method = Method::new(60, 50);
    /// The server hands a message to a consumer.
    pub const BASIC_DELIVER: Method = Method::new(60, 60);
    /// The client wants to consume.
    pub const BASIC_CONSUME: Method = Method::new(60, 20);
    /// The server agrees.
    pub const BASIC_CONSUME_OK: Method = Method::new(60, 21);
    /// The client declares a queue.
    pub const QUEUE_DECLARE: Method = Method::new(50, 10);
    /// The server has it.
    pub const QUEUE_DECLARE_OK: Method = Method::new(50, 11);
    /// `connection.open-ok`, with which a connection is made.
    pub const CONNECTION_OPEN_OK: Method = Method::new(10, 41);
    /// Any method at all.
    pub const ANY: Method = Method::new(0, 0);

    /// A method by the numbers of the specification.
    pub const fn new(class: u16, method: u16) -> Method {
        Method { class, method }
    }

    fn includes(self, other: Method) -> bool {
        self == Method::ANY || self == other
    }
}

/// What to do when a frame passes. A method that brings a message (`basic.publish`, `basic.deliver`, `basic.return`) is
/// treated together with its message.
#[derive(Debug, Clone)]
pub struct Rule {
    who: Who,
    way: Way,
    method: Method,
    action: Action,
    skip: u64,
    times: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Swallow,
    Hold,
    Duplicate,
    CutBefore,
    CutInside,
    CutAfter,
    CloseChannel { code: u16, text: String },
}

impl Rule {
    fn new(method: Method, way: Way, action: Action) -> Rule {
        Rule { who: Who::All, way, method, action, skip: 0, times: u64::MAX }
    }

    /// The frame does not arrive.
    ///
    /// TCP loses nothing, so on a real line a frame that does not arrive is followed by none that do: [cut](super::Proxy)
    /// the connection afterwards. After a swallowed `basic.publish` server and client count confirms differently, and a
    /// later confirm is taken for that of an earlier message; where that matters, use [`Rule::cut_before`].
    pub fn swallow(method: Method, way: Way) -> Rule {
        Rule::new(method, way, Action::Swallow)
    }

    /// The frame waits until the rule ends; others overtake it. It is lost if its channel ends before.
    pub fn hold(method: Method, way: Way) -> Rule {
        Rule::new(method, way, Action::Hold)
    }

    /// The frame arrives twice.
    pub fn duplicate(method: Method, way: Way) -> Rule {
        Rule::new(method, way, Action::Duplicate)
    }

    /// The connection is cut, and the frame does not arrive.
    pub fn cut_before(method: Method, way: Way) -> Rule {
        Rule::new(method, way, Action::CutBefore)
    }

    /// The connection is cut when half of the frame has arrived.
    pub fn cut_inside(method: Method, way: Way) -> Rule {
        Rule::new(method, way, Action::CutInside)
    }

    /// The connection is cut when the frame has arrived.
    pub fn cut_after(method: Method, way: Way) -> Rule {
        Rule::new(method, way, Action::CutAfter)
    }

    /// The frame does not arrive, and the server closes its channel, as with 406 after an ack of what it has not
    /// delivered.
    pub fn close_channel(method: Method, code: u16, text: impl Into<String>) -> Rule {
        Rule::new(method, Way::ToServer, Action::CloseChannel { code, text: text.into() })
    }

    /// The server's confirms do not arrive.
    pub fn lost_confirms() -> Rule {
        Rule::swallow(Method::BASIC_ACK, Way::ToClient)
    }

    /// The consumers' acks do not arrive.
    pub fn lost_acks() -> Rule {
        Rule::swallow(Method::BASIC_ACK, Way::ToServer)
    }

    /// The consumers' acks arrive when the rule ends.
    pub fn held_acks() -> Rule {
        Rule::hold(Method::BASIC_ACK, Way::ToServer)
    }

    /// Only on these connections.
    #[must_use]
    pub fn of(self, who: Who) -> Rule {
        Rule { who, ..self }
    }

    /// Not to the first so many frames, of all connections together.
    #[must_use]
    pub fn skip(self, skip: u64) -> Rule {
        Rule { skip, ..self }
    }

    /// To so many frames and no more, of all connections together.
    #[must_use]
    pub fn times(self, times: u64) -> Rule {
        Rule { times, ..self }
    }
}

/// A rule that holds until it is ended, or the proxy is healed.
#[derive(Debug, Clone)]
pub struct RuleHandle(pub(super) Arc<ActiveRule>);

impl RuleHandle {
    /// To how many frames, messages counted as one, something was done.
    pub fn hits(&self) -> u64 {
        self.0.progress().hits
    }

    /// Ends the rule. What it holds is sent on.
    pub fn end(&self) {
        self.0.end();
    }
}

#[derive(Debug)]
pub(super) struct ActiveRule {
    rule: Rule,
    progress: Mutex<Progress>,
    held: Mutex<Vec<Held>>,
    ended: AtomicBool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    seen: u64,
    hits: u64,
}

/// A frame that waits, with its message if it brings one.
#[derive(Debug)]
struct Held {
    connection: Weak<Connection>,
    /// Which of the channels that had this number one after the other.
    life: u64,
    channel: u16,
    frames: Vec<Frame>,
}

impl ActiveRule {
    pub(super) fn new(rule: Rule) -> ActiveRule {
        ActiveRule { rule, progress: Mutex::default(), held: Mutex::default(), ended: AtomicBool::new(false) }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// What to do to this frame, if anything.
    pub(super) fn decide(&self, name: Option<&str>, way: Way, method: (u16, u16)) -> Option<Action> {
        let rule = &self.rule;
        let method = Method::new(method.0, method.1);
        if self.has_ended() || rule.way != way || !rule.method.includes(method) || !rule.who.includes(name) {
            return None;
        }
        let mut progress = self.progress();
        progress.seen += 1;
        let counts = progress.seen > rule.skip && progress.hits < rule.times;
        progress.hits += u64::from(counts);
        counts.then(|| rule.action.clone())
    }

    /// Keeps frames until the end of the rule; gives them back when that has been.
    pub(super) fn keep(&self, connection: &Arc<Connection>, channel: u16, frames: Vec<Frame>) -> Option<Vec<Frame>> {
        let mut held = self.held();
        if self.has_ended() {
            return Some(frames);
        }
        let life = connection.talk().life_of(channel);
        held.push(Held { connection: Arc::downgrade(connection), life, channel, frames });
        None
    }

    pub(super) fn end(&self) {
        let mut held = self.held();
        self.ended.store(true, Ordering::SeqCst);
        for Held { connection, life, channel, frames } in held.drain(..) {
            if let Some(connection) = connection.upgrade()
                && connection.talk().life_of(channel) == life
            {
                connection.order(self.rule.way, Order::Say(frames));
            }
        }
    }
}
