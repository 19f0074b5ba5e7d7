//! The suite can pass and can fail: on a broker with connections that can be closed and cut it passes, and for every case
//! there is a way to break that broker which the case notices.

#![allow(clippy::unwrap_used)]

mod broken;
mod fault;
mod publish;
mod server;
mod source;

use fault::Fault;
use server::Wired;

/// The contract kept.
mod kept {
    use super::{Fault, Wired};

    taskq_conformance::broker_suite!(Wired::new(Fault::None));
}
