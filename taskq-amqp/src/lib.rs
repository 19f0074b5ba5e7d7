//! taskq on RabbitMQ.
//!
//! [`AmqpBroker`] is a [`Broker`](taskq_core::Broker). Every publish is persistent, mandatory and confirmed; queues are
//! quorum queues unless asked otherwise; delays need no plugin and survive restarts; connections that break are made
//! again, and no message is lost on the way.

mod address;
mod broker;
mod config;
mod consumer;
mod declared;
mod delay;
mod dial;
mod engine;
mod error;
mod hearing;
mod levels;
mod link;
mod publisher;
mod runtime;
mod session;
mod strays;
mod topology;
mod wire;

pub use broker::AmqpBroker;

/// What `cargo xtask bench --micro` measures of the inside. Not for use: a program that is built as usual does not have it.
#[cfg(taskq_bench)]
#[doc(hidden)]
pub mod __bench {
    pub use crate::bench::*;
}
#[cfg(taskq_bench)]
mod bench;
