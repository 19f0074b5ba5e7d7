//! The contract of a result backend: where the ends of tasks are kept and waited for.

use crate::{
    BoxFuture,
    claims::{Bid, ClaimAnswer},
    error::ResultError,
    id::TaskId,
    record::ResultRecord,
    status::Step,
};
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

    /// Asks for the right to run a task that may be running elsewhere, or may have run before; healthy first deliveries
    /// never ask. Resolves to `None` if this backend keeps no claims: then a worker looks for a record only.
    ///
    /// A claim that is given is renewed by the backend, on threads of its own, until it is released or dropped. One whose
    /// lease of [`CLAIM_LEASE`](crate::defaults::CLAIM_LEASE) has ended may be given to another: that start then counts
    /// as one that ended without a word.
    ///
    /// # Errors
    /// [`ResultError::Store`] when the store cannot be asked: nothing may be run on a guess then.
    ///
    /// See [`Bid`] for an example.
    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        let _ = bid;
        Box::pin(async { Ok(None) })
    }

    /// Notes for `ttl` that what was decided after the run has been carried out, and ends the owner's claim, if there is
    /// one: a message of this run that comes again is acknowledged and nothing else. Without effect while another owner
    /// holds a claim. `ended` says that the task has ended with this run.
    ///
    /// # Errors
    /// [`ResultError::Store`]; a note may be lost.
    fn carried_out<'a>(&'a self, bid: &'a Bid, ended: bool, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        let _ = (bid, ended, ttl);
        Box::pin(async { Ok(()) })
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
    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        (**self).claim(bid)
    }
    fn carried_out<'a>(&'a self, bid: &'a Bid, ended: bool, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        (**self).carried_out(bid, ended, ttl)
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        (**self).close()
    }
}
