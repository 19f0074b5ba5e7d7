//! The contract of a [`ResultBackend`]: one function per promise.

pub(crate) mod claims;
pub(crate) mod steps;
pub(crate) mod store;
pub(crate) mod wait;

use crate::{CaseResult, NotPassed};
use bytes::Bytes;
use std::{future::Future, time::Duration};
use taskq_core::{End, ResultBackend, ResultError, ResultRecord, TaskId};
use tokio::time::timeout;

/// Long enough for a record to outlast its test; every key is gone soon after.
const TTL: Duration = Duration::from_secs(60);
/// A wait that takes this long will not end any more.
const HUNG: Duration = Duration::from_secs(30);

/// How the suite reaches the result backend under test.
///
/// Only [`connect`](ResultsHarness::connect) must be written. [`results_suite!`](crate::results_suite) makes one harness
/// per case.
///
/// ```
/// use std::time::Duration;
/// use taskq_conformance::ResultsHarness;
/// use taskq::InMemoryResults as MyResults;
///
/// struct MyHarness(MyResults);
///
/// impl ResultsHarness for MyHarness {
///     type Results = MyResults;
///
///     async fn connect(&self) -> MyResults {
///         self.0.clone()
///     }
///
///     fn shortest_ttl(&self) -> Duration {
///         Duration::from_secs(1)
///     }
/// }
///
/// taskq_conformance::results_suite!(MyHarness(MyResults::new()));
/// ```
pub trait ResultsHarness: Send + Sync {
    /// The backend under test.
    type Results: ResultBackend;

    /// A backend of its own on the same store: what one of them keeps, all of them see.
    ///
    /// Called several times per case. A backend that cannot be reached has no other way to say so than a panic, which
    /// fails the case.
    ///
    /// ```
    /// use taskq_conformance::ResultsHarness;
    /// # use std::time::Duration;
    /// # use taskq::{End, InMemoryResults, ResultBackend, ResultRecord, TaskId};
    /// # struct InMemory(InMemoryResults);
    /// # impl ResultsHarness for InMemory {
    /// #     type Results = InMemoryResults;
    /// #     async fn connect(&self) -> InMemoryResults {
    /// #         self.0.clone()
    /// #     }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let harness = InMemory(InMemoryResults::new());
    /// let (one, other) = (harness.connect().await, harness.connect().await);
    /// let (id, record) = (TaskId::new(), ResultRecord::new(End::Cancelled, "a.task"));
    /// one.store(&id, &record, Duration::from_secs(60)).await?;
    /// assert_eq!(other.fetch(&id).await?, Some(record));
    /// # Ok::<_, taskq::ResultError>(())
    /// # }).unwrap();
    /// ```
    fn connect(&self) -> impl Future<Output = Self::Results> + Send;

    /// The shortest time to live that the backend keeps to; 100 ms unless told. The cases about it take twice as long.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use taskq_conformance::ResultsHarness;
    /// # use taskq::InMemoryResults;
    ///
    /// struct WholeSeconds(InMemoryResults);
    ///
    /// impl ResultsHarness for WholeSeconds {
    /// #   type Results = InMemoryResults;
    /// #   async fn connect(&self) -> InMemoryResults {
    /// #       self.0.clone()
    /// #   }
    ///     // ..
    ///     fn shortest_ttl(&self) -> Duration {
    ///         Duration::from_secs(1)
    ///     }
    /// }
    /// ```
    fn shortest_ttl(&self) -> Duration {
        Duration::from_millis(100)
    }
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

/// Fails the case instead of hanging it.
async fn in_time<F: Future>(wait: F) -> CaseResult<F::Output> {
    timeout(HUNG, wait).await.map_err(|_| NotPassed::silent("waiting for what was stored", HUNG))
}

async fn ended(wait: impl Future<Output = Result<ResultRecord, ResultError>>) -> CaseResult<ResultRecord> {
    Ok(in_time(wait).await??)
}

async fn fetched(results: &impl ResultBackend, id: &TaskId) -> CaseResult<Option<ResultRecord>> {
    Ok(in_time(results.fetch(id)).await??)
}

/// Stores what must be the first record of its round, and higher than any before.
async fn kept(results: &impl ResultBackend, id: &TaskId, record: &ResultRecord) -> CaseResult {
    let before = in_time(results.store(id, record, TTL)).await??;
    ensure_eq!(before, None, "a record that was there before {record:?}");
    Ok(())
}

/// Polls the wait until it must have registered: it is pending, and has been for a while.
async fn begun<F: Future + Unpin>(wait: &mut F) -> CaseResult {
    let pending = timeout(Duration::from_millis(100), wait).await.is_err();
    ensure!(pending, "a wait ended before anything was stored");
    Ok(())
}

impl From<ResultError> for NotPassed {
    fn from(error: ResultError) -> Self {
        NotPassed::Broken(format!("{error} ({error:?})"))
    }
}
