//! The contract of a [`ResultBackend`]: one test function per promise, and [`results_suite!`](crate::results_suite) to run all of them.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test fails by panicking, and says what it leaves out")]

use bytes::Bytes;
use futures_util::future::join_all;
use std::{future::Future, time::Duration};
use taskq_core::{ContentType, End, FailureKind, ResultBackend, ResultRecord, Step, TaskFailure, TaskId, UnixMillis};
use tokio::time::{sleep, timeout};

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

/// What was stored is what is fetched, by the same connection and by another one.
pub async fn a_stored_record_is_fetched_as_it_was(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let (id, record) = (TaskId::new(), done("value"));
    kept(&one, &id, &record).await;
    assert_eq!(fetched(&one, &id).await, Some(record.clone()));
    assert_eq!(fetched(&other, &id).await, Some(record));
}

/// An id without a record gives `None`, and no error.
pub async fn nothing_is_fetched_where_nothing_was_stored(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    assert_eq!(fetched(&results, &TaskId::new()).await, None);
    assert_eq!(results.step(&TaskId::new()).await.expect("step"), None);
}

/// A record is there at first and gone after its time to live; then its id is free again.
pub async fn a_record_is_gone_after_its_time_to_live(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let (short, long) = (TaskId::new(), TaskId::new());
    kept(&results, &long, &done("long")).await;
    let ttl = harness.shortest_ttl();
    assert_eq!(results.store(&short, &done("short"), ttl).await.expect("store"), None);
    sleep(ttl + ttl).await;
    assert_eq!(fetched(&results, &short).await, None);
    assert!(fetched(&results, &long).await.is_some(), "the other record has time left");
    kept(&results, &short, &done("again")).await;
}

/// A second record of the same round is not taken; the caller learns of the first.
pub async fn the_first_record_of_a_round_wins_and_is_returned(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    for round in [0, 3] {
        let (id, first) = (TaskId::new(), of_round(round, "first"));
        kept(&one, &id, &first).await;
        let before = other.store(&id, &of_round(round, "second"), TTL).await.expect("store");
        assert_eq!(before, Some(first.clone()));
        assert_eq!(fetched(&one, &id).await, Some(first));
    }
}

/// A replay from the dead letters has a higher round: its end replaces the older one.
pub async fn a_higher_round_replaces_a_lower_one(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let id = TaskId::new();
    for record in [of_round(0, "zero"), of_round(1, "one"), of_round(12, "twelve")] {
        kept(&results, &id, &record).await;
        assert_eq!(fetched(&results, &id).await, Some(record));
    }
}

/// A late end of an older round changes nothing; the caller learns of the newer one.
pub async fn a_lower_round_is_not_taken(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let (id, newer) = (TaskId::new(), of_round(2, "newer"));
    kept(&results, &id, &newer).await;
    for older in [of_round(1, "older"), of_round(0, "oldest")] {
        let before = results.store(&id, &older, TTL).await.expect("store");
        assert_eq!(before, Some(newer.clone()));
    }
    assert_eq!(fetched(&results, &id).await, Some(newer));
}

/// Many ends of one round at once: one is kept, and all others learn which.
pub async fn of_many_that_store_at_once_exactly_one_wins(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    for round in [0, 1] {
        let id = TaskId::new();
        let mut records = Vec::new();
        for n in 0..20 {
            let mut record = done(vec![n]);
            record.round = round;
            records.push(record);
        }
        let stores = records.iter().enumerate().map(|(n, record)| {
            let results = if n % 2 == 0 { &one } else { &other };
            results.store(&id, record, TTL)
        });
        let outcomes: Vec<_> = join_all(stores).await.into_iter().map(|outcome| outcome.expect("store")).collect();
        let winner = fetched(&one, &id).await.expect("a record");
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "one of them is told that it won");
        assert!(outcomes.iter().flatten().all(|before| *before == winner), "the others are told who did");
    }
}

/// Values, failures with their chain, and the ends without a run; times, encoding and worker too.
pub async fn every_kind_of_end_comes_back_whole(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let mut failure = TaskFailure::new(FailureKind::Timeout, "took too long: \"é\"\n", 3);
    failure.chain = vec!["outer".into(), String::new(), "inner".into()];
    let ends = [
        End::Done(Bytes::from_static(b"{}")),
        End::Failed(failure.clone()),
        End::Discarded(failure),
        End::Cancelled,
        End::Expired,
    ];
    for end in ends {
        let mut record = done("");
        record.end = end;
        record.content_type = ContentType::Json;
        record.started = UnixMillis(1_700_000_000_001);
        record.finished = UnixMillis(1_700_000_000_999);
        let id = TaskId::new();
        kept(&results, &id, &record).await;
        assert_eq!(fetched(&results, &id).await, Some(record.clone()));
        assert_eq!(ended(results.wait(&id, 0)).await.expect("wait"), record);
    }
}

/// The smallest and the largest value that a result may have by default, of bytes of every kind.
pub async fn an_empty_value_and_one_of_a_mebibyte_come_back_whole(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let large: Vec<u8> = (0..1024 * 1024).map(|n: u32| (n % 251) as u8).collect();
    for value in [Vec::new(), large] {
        let (id, record) = (TaskId::new(), done(value));
        kept(&results, &id, &record).await;
        let found = ended(results.wait(&id, 0)).await.expect("wait");
        assert!(found == record, "the value came back changed");
    }
}

/// Ids of a caller's own: dots, spaces, signs of every kind, 128 bytes, and none taken for another.
pub async fn any_id_that_may_be_used_can_be_used(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let unique = TaskId::new();
    let shapes = ["a.b.c", "two words", " edges ", "größe-日本-🦀", "*?[^]\\", "%20:#\"'$(x)", "A", "a"];
    let mut ids: Vec<TaskId> = shapes.iter().map(|shape| TaskId::from(format!("{unique}{shape}"))).collect();
    ids.push(TaskId::from(format!("{unique}{}", "x".repeat(128 - 32))));
    for (n, id) in ids.iter().enumerate() {
        id.check().expect("an id that may be used");
        kept(&results, id, &done(vec![n as u8])).await;
    }
    for (n, id) in ids.iter().enumerate() {
        let record = ended(results.wait(id, 0)).await.expect("wait");
        assert_eq!(record.end, End::Done(Bytes::from(vec![n as u8])), "id {id:?}");
    }
}

/// Waiting first, storing later, by the same connection.
pub async fn a_wait_ends_when_the_record_is_stored(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let (id, record) = (TaskId::new(), done("value"));
    let mut wait = results.wait(&id, 0);
    begun(&mut wait).await;
    kept(&results, &id, &record).await;
    assert_eq!(ended(wait).await.expect("wait"), record);
}

/// Waiting first, storing later, by another connection, for a first round and for a later one.
pub async fn a_wait_ends_when_another_connection_stores(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    for round in [0, 1] {
        let (id, record) = (TaskId::new(), of_round(round, "value"));
        let mut wait = one.wait(&id, round);
        begun(&mut wait).await;
        kept(&other, &id, &record).await;
        assert_eq!(ended(wait).await.expect("wait"), record);
    }
}

/// Storing first, waiting later, again and again.
pub async fn a_wait_for_what_is_there_ends_at_once(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let (id, record) = (TaskId::new(), done("value"));
    kept(&one, &id, &record).await;
    for results in [&one, &other, &one] {
        assert_eq!(ended(results.wait(&id, 0)).await.expect("wait"), record);
    }
}

/// Whoever waits for a replay does not get the end of the round before it.
pub async fn a_wait_for_a_higher_round_is_not_ended_by_an_older_record(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let (id, newer) = (TaskId::new(), of_round(1, "newer"));
    kept(&one, &id, &of_round(0, "older")).await;
    let mut wait = one.wait(&id, 1);
    begun(&mut wait).await;
    assert_eq!(ended(one.wait(&id, 0)).await.expect("wait").round, 0, "a wait for the older round is not held up");
    kept(&other, &id, &newer).await;
    assert_eq!(ended(wait).await.expect("wait"), newer);
}

/// The end of a later round is as good: the task has been replayed meanwhile.
pub async fn a_wait_is_ended_by_a_higher_round_than_it_asked_for(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let (id, record) = (TaskId::new(), of_round(4, "value"));
    let mut wait = results.wait(&id, 2);
    begun(&mut wait).await;
    kept(&results, &id, &record).await;
    assert_eq!(ended(wait).await.expect("wait"), record);
}

/// A hundred waits for one id, from two connections, all end with one record.
pub async fn a_hundred_waits_for_one_task_all_end(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let (id, record) = (TaskId::new(), done("value"));
    let mut waits = join_all((0..50).flat_map(|_| [one.wait(&id, 0), other.wait(&id, 0)]));
    begun(&mut waits).await;
    kept(&one, &id, &record).await;
    for found in ended(waits).await {
        assert_eq!(found.expect("wait"), record);
    }
}

/// A hundred waits for as many ids: each ends with its own record.
pub async fn a_hundred_waits_for_a_hundred_tasks_all_end(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let ids: Vec<TaskId> = (0..100).map(|_| TaskId::new()).collect();
    let mut waits = join_all(ids.iter().map(|id| one.wait(id, 0)));
    begun(&mut waits).await;
    for (n, id) in ids.iter().enumerate() {
        kept(&other, id, &done(vec![n as u8])).await;
    }
    for (n, found) in ended(waits).await.into_iter().enumerate() {
        assert_eq!(found.expect("wait").end, End::Done(Bytes::from(vec![n as u8])));
    }
}

/// Waits that are given up, at once or later, take no other wait for the same id with them.
pub async fn a_dropped_wait_does_not_disturb_the_others(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    let (id, record) = (TaskId::new(), done("value"));
    drop(results.wait(&id, 0));
    let mut dropped = results.wait(&id, 0);
    begun(&mut dropped).await;
    let mut wait = results.wait(&id, 0);
    begun(&mut wait).await;
    drop(dropped);
    begun(&mut wait).await;
    kept(&results, &id, &record).await;
    assert_eq!(ended(wait).await.expect("wait"), record);
    assert_eq!(ended(results.wait(&id, 0)).await.expect("a wait after all of them"), record);
}

/// Storing and beginning to wait at the same time, in every order that comes up: no wake-up is lost.
pub async fn a_record_stored_while_the_wait_begins_is_not_missed(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    for n in 0..200u32 {
        let (id, record) = (TaskId::new(), done("value"));
        let store = async {
            for _ in 0..n % 10 {
                tokio::task::yield_now().await;
            }
            kept(&other, &id, &record).await;
        };
        let (found, ()) = ended(async { tokio::join!(one.wait(&id, 0), store) }).await;
        assert_eq!(found.expect("wait"), record);
    }
}

/// Notes replace each other in the order they come, and all connections see them.
pub async fn steps_are_noted_as_they_come(harness: &impl ResultsHarness) {
    let (one, other) = (harness.connect().await, harness.connect().await);
    if left_out(&one, "tracking") {
        return;
    }
    let id = TaskId::new();
    let due = UnixMillis(1_700_000_000_123);
    for step in [Step::Queued, Step::Running, Step::Retrying { attempt: 2, due }, Step::Running] {
        one.track(&id, step, TTL).await.expect("track");
        assert_eq!(other.step(&id).await.expect("step"), Some(step));
    }
    assert_eq!(fetched(&one, &id).await, None, "a step is not an end");
}

/// The note of a producer may come late: a worker has the task already.
pub async fn queued_never_replaces_another_step(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    if left_out(&results, "tracking") {
        return;
    }
    let id = TaskId::new();
    results.track(&id, Step::Running, TTL).await.expect("track");
    results.track(&id, Step::Queued, TTL).await.expect("track");
    assert_eq!(results.step(&id).await.expect("step"), Some(Step::Running));
}

/// A step is forgotten after its time to live.
pub async fn a_step_is_gone_after_its_time_to_live(harness: &impl ResultsHarness) {
    let results = harness.connect().await;
    if left_out(&results, "tracking") {
        return;
    }
    let (id, ttl) = (TaskId::new(), harness.shortest_ttl());
    results.track(&id, Step::Running, ttl).await.expect("track");
    sleep(ttl + ttl).await;
    assert_eq!(results.step(&id).await.expect("step"), None);
    results.track(&id, Step::Queued, TTL).await.expect("track");
    assert_eq!(results.step(&id).await.expect("step"), Some(Step::Queued));
}

fn left_out(results: &impl ResultBackend, what: &str) -> bool {
    if !results.tracks() {
        println!("left out: this result backend has no {what}");
    }
    !results.tracks()
}
