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
mod levels;
mod link;
mod publisher;
mod runtime;
mod session;
mod strays;
mod topology;
mod wire;

pub use broker::AmqpBroker;
