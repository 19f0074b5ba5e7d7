//! What people read in errors, and what programs ask them.

#![allow(clippy::unwrap_used, clippy::panic)]

use taskq_core::{BrokerError, Error, KiqError, ResultError, WorkerError};

fn unreachable() -> BrokerError {
    BrokerError::Unreachable { address: "localhost:5672".into(), source: Some("connection refused".into()) }
}

fn not_started(source: WorkerError) -> KiqError {
    KiqError::Startup { task: "add".into(), source: source.into() }
}

#[test]
fn a_main_that_ends_with_an_error_shows_its_text_and_its_causes() {
    let error = Error::from(KiqError::NoApp { task: "add".into() });
    assert_eq!(format!("{error:?}"), error.to_string());

    let error = Error::from(KiqError::Broker { task: "add".into(), source: unreachable() });
    let text = "task `add` was not sent\n\nCaused by:\n    \
                0: cannot reach the broker at localhost:5672; is it running, and is the address right?\n    \
                1: connection refused";
    assert_eq!(format!("{error:?}"), text);

    let error = Error::from(BrokerError::Other { message: "no room".into(), source: Some("disk\nfull".into()) });
    assert_eq!(format!("{error:?}"), "no room\n\nCaused by:\n    disk\n    full");
}

#[test]
fn what_an_error_is_made_of_is_shown_on_request() {
    let error = Error::from(BrokerError::Closed);
    assert_eq!(format!("{error:#?}"), "Broker(\n    Closed,\n)");
}

#[test]
fn a_start_that_failed_for_want_of_a_server_may_be_tried_again() {
    let store = ResultError::Store { address: "localhost:6379".into(), source: "gone".into() };
    assert!(not_started(store.into()).is_retryable());
    assert!(not_started(unreachable().into()).is_retryable());
    assert!(!not_started(BrokerError::Closed.into()).is_retryable());
    assert!(!not_started(WorkerError::NoTasks).is_retryable());
}
