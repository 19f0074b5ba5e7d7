//! As much of AMQP 0-9-1 as faults need.

pub(crate) mod frame;
mod handshake;

pub(crate) use handshake::lets_in;
