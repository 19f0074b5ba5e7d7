//! What lapin and the server say, in the words of taskq.

use crate::address::Address;
use lapin::{Error, ErrorKind};
use std::{
    fmt,
    io::ErrorKind::{ConnectionReset, InvalidData},
};
use taskq_core::BrokerError;

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Trying again may help.
    Unreachable { address: String, reason: String },
    /// The server knows us and says no.
    Refused { address: String, reason: String },
}

impl Failure {
    pub(crate) fn of(address: &Address, error: &Error) -> Failure {
        let tls = address.is_tls();
        let address = address.shown();
        match said(error) {
            // A server that is full says 530 too, and may have room later.
            Some((ACCESS_REFUSED | NOT_ALLOWED, text)) if !text.contains("limit") => {
                Failure::Refused { address, reason: text.to_owned() }
            }
            _ => Failure::Unreachable { address, reason: advised(error, tls) },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreachable { address, reason } => write!(f, "cannot reach the broker at {address}: {reason}"),
            Failure::Refused { address, reason } => write!(f, "the broker at {address} refuses this user: {reason}"),
        }
    }
}

impl From<Failure> for BrokerError {
    fn from(failure: Failure) -> BrokerError {
        match failure {
            Failure::Unreachable { address, reason } => {
                BrokerError::Unreachable { address, source: Some(reason.into()) }
            }
            Failure::Refused { address, reason } => BrokerError::Denied { address, reason },
        }
    }
}

/// What lapin says of a connection that was not made, and what to do about it where that can be told.
fn advised(error: &Error, tls: bool) -> String {
    let text = error.to_string();
    let advice = match error.kind() {
        ErrorKind::IOError(io) if tls && io.kind() == InvalidData => match text.contains("certificate") {
            true => "an authority of one's own is trusted if `SSL_CERT_FILE` names its certificate",
            false => "a port without TLS wants an `amqp://` URL",
        },
        // A server that expects TLS answers with an alert, or ends the connection before it is read.
        ErrorKind::ParsingError(_) if !tls => "a port with TLS wants an `amqps://` URL",
        ErrorKind::IOError(io) if !tls && io.kind() == ConnectionReset => "a port with TLS wants an `amqps://` URL",
        _ => return text,
    };
    format!("{text}; {advice}")
}

/// The server's code and text, if it was the server that said no.
fn said(error: &Error) -> Option<(u16, &str)> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some((error.get_id(), error.get_message().as_str())),
        _ => None,
    }
}

/// Whether the server says that the queue or exchange does not exist.
pub(crate) fn is_not_found(error: &Error) -> bool {
    matches!(said(error), Some((NOT_FOUND, _)))
}

/// What an operation on `queue`, on a server at `address`, failed with.
pub(crate) fn of_queue(error: &Error, queue: &str, address: &str) -> BrokerError {
    let (address, queue) = (address.to_owned(), queue.to_owned());
    match said(error) {
        Some((ACCESS_REFUSED | NOT_ALLOWED, text)) => BrokerError::Denied { address, reason: text.to_owned() },
        Some((NOT_FOUND, text)) if text.contains("no queue") => BrokerError::Unroutable { queue },
        Some((PRECONDITION_FAILED, text)) => match mismatch(text) {
            Some(mismatch) => mismatch,
            None => BrokerError::Unsupported { what: format!("queue `{queue}`: {text}") },
        },
        Some((_, text)) => BrokerError::Other { message: format!("queue `{queue}`: {text}"), source: None },
        None => BrokerError::Unreachable { address, source: Some(Box::new(error.clone())) },
    }
}

/// Reads `PRECONDITION_FAILED - inequivalent arg 'x' for queue 'q' in vhost '/': received 'a' but current is 'b'`. The
/// server cuts the text at 255 bytes, so the end may be missing.
fn mismatch(text: &str) -> Option<BrokerError> {
    let rest = text.split_once("inequivalent arg '")?.1;
    let (argument, rest) = rest.split_once("' for ")?;
    let (name, rest) = rest.split_once('\'')?.1.split_once("' in vhost '").unwrap_or((rest, ""));
    let values = rest.rsplit_once("received ").map_or("", |split| split.1);
    let (wanted, found) = values.split_once(" but current is ").unwrap_or((values, ""));
    let (argument, wanted, found) = match (argument, value(wanted), value(found)) {
        // Only a quorum queue has one, and only ours ask for one: the server names the first difference of several.
        ("x-dead-letter-strategy", wanted, found) if wanted == UNSET && found == "at-least-once" => {
            ("x-queue-type", "classic".into(), "quorum".into())
        }
        others => others,
    };
    Some(BrokerError::Mismatch { queue: name.to_owned(), argument: argument.to_owned(), wanted, found })
}

/// What an argument that is not there has for a value.
const UNSET: &str = "not set";

/// `the value 'quorum' of type 'longstr'`, `'true'` or `none`.
fn value(text: &str) -> String {
    match text.split('\'').nth(1) {
        Some(quoted) => quoted.to_owned(),
        None if text.starts_with("none") => UNSET.to_owned(),
        None => "another value".to_owned(),
    }
}

/// The same error for one more of those whom it concerns.
pub(crate) fn again(error: &BrokerError) -> BrokerError {
    match error {
        BrokerError::Denied { address, reason } => {
            BrokerError::Denied { address: address.clone(), reason: reason.clone() }
        }
        BrokerError::Mismatch { queue, argument, wanted, found } => BrokerError::Mismatch {
            queue: queue.clone(),
            argument: argument.clone(),
            wanted: wanted.clone(),
            found: found.clone(),
        },
        BrokerError::Closed => BrokerError::Closed,
        BrokerError::Address { reason } => BrokerError::Address { reason: reason.clone() },
        BrokerError::Unsupported { what } => BrokerError::Unsupported { what: what.clone() },
        other => BrokerError::other(other.to_string()),
    }
}

/// Whether there may be a queue of this name at all: an AMQP short string of 1 to 255 bytes.
pub(crate) fn check_queue_name(queue: &str) -> Result<(), BrokerError> {
    match queue.len() {
        1..=255 => Ok(()),
        _ => Err(BrokerError::Unroutable { queue: queue.to_owned() }),
    }
}

/// A name that does not fit an AMQP short string of 255 bytes.
pub(crate) fn too_long(what: &str) -> BrokerError {
    BrokerError::Unsupported { what: format!("{what} is longer than 255 bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_is_read_from_the_servers_text() {
        let text = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'it's mine' in vhost '/': received \
                    the value 'quorum' of type 'longstr' but current is the value 'classic' of type 'longstr'";
        let Some(BrokerError::Mismatch { queue, argument, wanted, found }) = mismatch(text) else { panic!() };
        assert_eq!([&*queue, &*argument, &*wanted, &*found], ["it's mine", "x-queue-type", "quorum", "classic"]);

        let text = "PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'q' in vhost '/': received none but \
                    current is the value '5' of type 'signedint'";
        let Some(BrokerError::Mismatch { wanted, found, .. }) = mismatch(text) else { panic!() };
        assert_eq!([&*wanted, &*found], ["not set", "5"]);

        let cut =
            "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but cur";
        let Some(BrokerError::Mismatch { wanted, found, .. }) = mismatch(cut) else { panic!() };
        assert_eq!([&*wanted, &*found], ["true", "another value"]);
        assert!(mismatch("PRECONDITION_FAILED - unknown delivery tag 1").is_none());
    }
}
