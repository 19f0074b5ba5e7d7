//! The contract of a [`ResultBackend`]: one test function per promise, and [`results_suite!`](crate::results_suite) to run all of them.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test fails by panicking, and says what it leaves out")]

mod steps;
mod store;
mod wait;

pub use steps::*;
pub use store::*;
pub use wait::*;

use bytes::Bytes;
use std::{future::Future, time::Duration};
use taskq_core::{End, ResultBackend, ResultRecord, TaskId};
use tokio::time::timeout;

/// Long enough for a record to outlast its test; every key is gone soon after.
const TTL: Duration = Duration::from_secs(60);
/// A wait that takes this long will not end any more.
const HUNG: Duration = Duration::from_secs(30);

/// What the suite needs to know of a result backend.
///
/// ```
/// use taskq_conformance::ResultsHarness;
/// use taskq_core::InMemoryResults;
///
/// struct InMemory(InMemoryResults);
///
/// impl ResultsHarness for InMemory {
///     type Results = InMemoryResults;
///     async fn connect(&self) -> InMemoryResults {
///         self.0.clone()
///     }
/// }
/// ```
pub trait ResultsHarness: Send + Sync {
    /// The backend.
    type Results: ResultBackend;

    /// A backend of its own on the same store: what one of them keeps, all of them see.
    fn connect(&self) -> impl Future<Output = Self::Results> + Send;

    /// The shortest time to live that the backend keeps to; 100 ms unless told.
    fn shortest_ttl(&self) -> Duration {
        Duration::from_millis(100)
    }
}

/// Runs the whole suite: one `#[tokio::test]` per promise, with a harness of its own each. The calling crate needs
/// `tokio` with `rt` and `macros`.
///
/// ```
/// # use taskq_conformance::ResultsHarness;
/// # use taskq_core::InMemoryResults;
/// # struct InMemory(InMemoryResults);
/// # impl ResultsHarness for InMemory {
/// #     type Results = InMemoryResults;
/// #     async fn connect(&self) -> InMemoryResults {
/// #         self.0.clone()
/// #     }
/// # }
/// taskq_conformance::results_suite!(InMemory(InMemoryResults::new()));
/// ```
#[macro_export]
macro_rules! results_suite {
    ($harness:expr) => {
        $crate::results_suite! { @cases $harness =>
            a_stored_record_is_fetched_as_it_was
            nothing_is_fetched_where_nothing_was_stored
            a_record_is_gone_after_its_time_to_live
            the_first_record_of_a_round_wins_and_is_returned
            a_higher_round_replaces_a_lower_one
            a_lower_round_is_not_taken
            of_many_that_store_at_once_exactly_one_wins
            every_kind_of_end_comes_back_whole
            an_empty_value_and_one_of_a_mebibyte_come_back_whole
            any_id_that_may_be_used_can_be_used
            a_wait_ends_when_the_record_is_stored
            a_wait_ends_when_another_connection_stores
            a_wait_for_what_is_there_ends_at_once
            a_wait_for_a_higher_round_is_not_ended_by_an_older_record
            a_wait_is_ended_by_a_higher_round_than_it_asked_for
            a_hundred_waits_for_one_task_all_end
            a_hundred_waits_for_a_hundred_tasks_all_end
            a_dropped_wait_does_not_disturb_the_others
            a_record_stored_while_the_wait_begins_is_not_missed
            steps_are_noted_as_they_come
            queued_never_replaces_another_step
            a_step_is_gone_after_its_time_to_live
        }
    };
    (@cases $harness:expr => $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::results::$case(&$harness).await;
            }
        )*
    };
}

/// A record of a task that returned `value`.
fn done(value: impl Into<Bytes>) -> ResultRecord {
    let mut record = ResultRecord::new(End::Done(value.into()), "conformance.task");
    record.attempts = 2;
    record.worker = "host/17".into();
    record
}

fn of_round(round: u32, value: &'static str) -> ResultRecord {
    let mut record = done(value);
    record.round = round;
    record
}

/// Fails the test instead of hanging it.
async fn ended<F: Future>(wait: F) -> F::Output {
    timeout(HUNG, wait).await.expect("the wait did not end, though the record was stored")
}

async fn fetched(results: &impl ResultBackend, id: &TaskId) -> Option<ResultRecord> {
    results.fetch(id).await.expect("fetch")
}

async fn kept(results: &impl ResultBackend, id: &TaskId, record: &ResultRecord) {
    let before = results.store(id, record, TTL).await.expect("store");
    assert_eq!(before, None, "nothing of this or a higher round was stored before");
}

/// Polls the wait until it must have registered: it is pending, and has been for a while.
async fn begun<F: Future + Unpin>(wait: &mut F) {
    assert!(timeout(Duration::from_millis(100), wait).await.is_err(), "the wait ended before anything was stored");
}
