//! Two tasks of one name: alone in its program, because no app of such a program starts.

#![allow(missing_docs, clippy::unwrap_used)]

use taskq::{WorkerError, prelude::*};

#[task(name = "mail.send")]
async fn send() {}

mod elsewhere {
    use taskq::prelude::*;

    #[task(name = "mail.send")]
    pub(crate) async fn send() {}
}

#[tokio::test]
async fn two_tasks_of_one_name_are_a_start_error_that_shows_both_places() {
    let error = InMemoryBroker::new().into_app().startup().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, WorkerError::DuplicateTask { .. }), "{text}");
    assert!(text.contains("`mail.send`"), "{text}");
    assert_eq!(text.matches("duplicates.rs:").count(), 2, "{text}");
    let refused = send.kiq().on(&InMemoryBroker::new().into_app()).await.unwrap_err();
    assert!(matches!(refused, taskq::KiqError::Startup { .. }), "{refused}");
    let _ = elsewhere::send;
}
