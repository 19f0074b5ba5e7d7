//! What the fault tests of the workspace are made of.
//!
//! * [`rabbit`]: private RabbitMQ nodes, alone or three in a cluster, to be killed, stopped, frozen, put under alarm.
//! * [`redis`]: private Redis servers, alone or three in a cluster, likewise.
//! * [`proxy`]: a TCP proxy that stalls, delays, cuts and resets lines, and knows enough of AMQP to lose a single confirm.
//! * [`rabbit::Client`]: what tests do to RabbitMQ behind taskq's back, be it a private one or the one they [share](shared).
//! * [`wait`]: waiting for conditions, within a bound.
//! * `tls` (a feature): an authority of a test's own, and clients that trust it or do not.
//! * `log` (a feature): what a process logs.
//!
//! Servers listen on ports of their own on 127.0.0.1, keep their data in a directory of their own, and end with the value
//! that stands for them: when it is dropped, when the test panics, and when the whole process is killed.
//!
//! The crate knows nothing of taskq, so every crate of the workspace may use it in its tests.

mod amqp;
mod failure;
#[cfg(feature = "log")]
pub mod log;
mod ports;
mod process;
mod program;
pub mod proxy;
pub mod rabbit;
pub mod redis;
mod server;
pub mod shared;
#[cfg(feature = "tls")]
pub mod tls;
pub mod wait;

pub use failure::{Failure, Result};
pub use proxy::Proxy;
pub use server::Server;
