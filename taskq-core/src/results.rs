//! The contract of a result backend: where the ends of tasks are kept and waited for.

use crate::{BoxFuture, error::ResultError, id::TaskId, record::ResultRecord, status::Step};
use std::{sync::Arc, time::Duration};

/// Keeps how tasks ended, for a time, and wakes those who wait. Object-safe.
///
/// A record belongs to a round of a task id. The first record of a round wins; one of a higher round replaces it; one of
/// a lower round is not taken. No record is kept longer than its time to live.
pub trait ResultBackend: Send + Sync + 'static {
    /// Connects and checks that the backend can be used. Called once when an app starts.
    ///
    /// # Errors
    /// [`ResultError::SetUp`] if the address or the credentials are wrong: that does not mend itself.
    fn startup(&self) -> BoxFuture<'_, Result<(), ResultError>> {
        Box::pin(async { Ok(()) })
    }

    /// Keeps `record` for `ttl`. Resolves to `None` when it is kept now, or to the record that was there before it, of
    /// the same or a higher round. Safe to repeat after an error.
    ///
    /// # Errors
    /// [`ResultError::Store`] when that is not known.
    fn store<'a>(
        &'a self,
        id: &'a TaskId,
        record: &'a ResultRecord,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>>;

    /// The record under `id`, if there is one.
    ///
    /// # Errors
    /// [`ResultError::Store`] when that is not known, [`ResultError::Decode`] for one that cannot be read.
    fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>>;

    /// Resolves when there is a record of `round` or a higher one under `id`: pushed, not polled, and at once if it is
    /// there. Rides out a store that is away. Dropping the future ends the wait.
    ///
    /// # Errors
    /// [`ResultError::Decode`] for a record that cannot be read.
    fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>>;

    /// Whether [`ResultBackend::track`] is there.
    fn tracks(&self) -> bool {
        false
    }

    /// Notes a step of a task on its way, for `ttl`. [`Step::Queued`] never replaces another step.
    ///
    /// # Errors
    /// [`ResultError::Store`]; a note may be lost.
    fn track<'a>(&'a self, id: &'a TaskId, step: Step, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        let _ = (id, step, ttl);
        Box::pin(async { Ok(()) })
    }

    /// The last step that was noted.
    ///
    /// # Errors
    /// [`ResultError::Store`] when that is not known.
    fn step<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Step>, ResultError>> {
        let _ = id;
        Box::pin(async { Ok(None) })
    }

    /// Disconnects.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl<R: ResultBackend + ?Sized> ResultBackend for Arc<R> {
    fn startup(&self) -> BoxFuture<'_, Result<(), ResultError>> {
        (**self).startup()
    }
    fn store<'a>(
        &'a self,
        id: &'a TaskId,
        record: &'a ResultRecord,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        (**self).store(id, record, ttl)
    }
    fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        (**self).fetch(id)
    }
    fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> {
        (**self).wait(id, round)
    }
    fn tracks(&self) -> bool {
        (**self).tracks()
    }
    fn track<'a>(&'a self, id: &'a TaskId, step: Step, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        (**self).track(id, step, ttl)
    }
    fn step<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Step>, ResultError>> {
        (**self).step(id)
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        (**self).close()
    }
}
