//! A TCP proxy that does to lines what networks and servers do to them.
//!
//! ```no_run
//! # fn example() -> taskq_faults::Result<()> {
//! use std::time::Duration;
//! use taskq_faults::proxy::{Line, Proxy, Rule, Way, Who};
//!
//! let proxy = Proxy::amqp("amqp://guest:guest@127.0.0.1:5672/%2f")?;
//! println!("clients connect to {}", proxy.url());
//!
//! proxy.line(Who::All, Way::ToServer, Line::Stall);                     // until it is healed
//! proxy.line(Who::Publishers, Way::ToClient, Line::Delay(Duration::from_millis(50)));
//! proxy.heal();
//!
//! proxy.reset(Who::Consumers);                                         // once, and now
//!
//! let lost = proxy.add(Rule::lost_confirms().times(3));                // by frame
//! println!("{} confirms were lost", lost.hits());
//! lost.end();
//! # Ok(())
//! # }
//! ```
//!
//! There are three kinds of faults. A **state** of lines or of the door ([`Proxy::line`], [`Proxy::door`]) holds for the
//! connections that are there and those to come, until it is set anew or [healed](Proxy::heal). An **event**
//! ([`Proxy::cut`], [`Proxy::inject`] and others) happens once to the connections that are there, and says to how many. A
//! **rule** ([`Proxy::add`]) waits for frames of AMQP, or for requests of Redis ([`Proxy::lose_reply`]), and does
//! something when one passes.
//!
//! The proxy runs on a thread of its own, so it goes on while a test blocks its runtime, and all methods are plain calls
//! that wait for nothing. A [`Proxy`] is a handle: clones are the same proxy, which ends with the last of them.

mod connection;
mod counters;
mod door;
mod inject;
mod outbox;
mod pump;
mod rules;
mod shared;
mod sieve;
mod state;
mod talk;
mod target;
mod trap;

pub use counters::Counters;
pub use inject::Injection;
pub use rules::{Method, Rule, RuleHandle};
pub use state::{Door, Line, Way, Who};
pub use trap::LostReply;

use crate::Result;
use connection::{End, Order};
use shared::{Protocol, Shared};
use std::{net::SocketAddr, sync::Arc};
use target::Target;
use tokio::sync::oneshot;

/// A handle of a proxy before one server.
#[derive(Debug, Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    /// Its end tells the proxy's thread to end.
    _alive: Arc<oneshot::Sender<()>>,
}

impl Proxy {
    /// A proxy before the RabbitMQ at this URL, which understands frames.
    ///
    /// # Errors
    /// The URL has no host, or there is no port or thread to be had.
    pub fn amqp(url: &str) -> Result<Proxy> {
        Proxy::start(url, Protocol::Amqp)
    }

    /// A proxy before the Redis at this URL, which understands nothing of what it passes on.
    ///
    /// # Errors
    /// The URL has no host, or there is no port or thread to be had.
    pub fn redis(url: &str) -> Result<Proxy> {
        Proxy::start(url, Protocol::Opaque)
    }

    fn start(url: &str, protocol: Protocol) -> Result<Proxy> {
        let (shared, alive) = door::open(Target::parse(url)?, protocol)?;
        Ok(Proxy { shared, _alive: Arc::new(alive) })
    }

    /// The server's URL by way of the proxy.
    pub fn url(&self) -> String {
        self.shared.target.url_by(self.shared.address)
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// What becomes of connections that are made from now on.
    pub fn door(&self, door: Door) {
        self.shared.state.send_modify(|state| state.door = door);
    }

    /// What becomes of bytes from now on, on the lines that are there and on those to come.
    pub fn line(&self, who: Who, way: Way, line: Line) {
        self.shared.state.send_modify(|state| state.set(who, way, line));
    }

    /// The same for both ways.
    pub fn lines(&self, who: Who, line: Line) {
        self.shared.state.send_modify(|state| {
            state.set(who.clone(), Way::ToServer, line);
            state.set(who, Way::ToClient, line);
        });
    }

    /// Lets everything pass again, ends all rules, and sends on what they hold. A line that has lost bytes cannot be
    /// healed: it is reset.
    pub fn heal(&self) {
        self.shared.end_rules();
        self.shared.state.send_modify(|state| *state = state::State::default());
    }

    /// Ends connections without a word, as a process that dies does.
    pub fn cut(&self, who: Who) -> usize {
        self.end(&who, End::Close)
    }

    /// Resets connections (RST), as a firewall does that has lost its table.
    pub fn reset(&self, who: Who) -> usize {
        self.end(&who, End::Reset)
    }

    fn end(&self, who: &Who, end: End) -> usize {
        self.shared.each(who, |connection| connection.end(end))
    }

    /// Closes lines one way (FIN); what comes that way from now on is lost. The other way goes on.
    pub fn half_close(&self, who: Who, way: Way) -> usize {
        self.shared.each(&who, |connection| connection.order(way, Order::HalfClose))
    }

    /// Ends connections after so many more bytes one way, be it in the middle of a frame.
    pub fn cut_after(&self, who: Who, way: Way, bytes: u64) -> usize {
        self.shared.each(&who, |connection| connection.order(way, Order::CutAfter(bytes)))
    }

    /// Says something to clients that the server has not said.
    pub fn inject(&self, who: Who, injection: &Injection) -> usize {
        self.shared.each(&who, |connection| connection.inject(injection))
    }

    /// Watches frames from now on.
    pub fn add(&self, rule: Rule) -> RuleHandle {
        self.shared.add(rule)
    }

    /// Passes on the next request that contains these bytes, once, and ends its connection when the reply comes. The
    /// server has done what it was asked, and the client does not know.
    pub fn lose_reply(&self, containing: impl Into<Vec<u8>>) -> LostReply {
        self.shared.lose_reply(containing.into())
    }

    /// Connections that are open.
    pub fn open(&self, who: Who) -> usize {
        self.shared.each(&who, |_| true)
    }

    /// What has passed since the start.
    pub fn counters(&self) -> Counters {
        self.shared.counters.seen()
    }
}
