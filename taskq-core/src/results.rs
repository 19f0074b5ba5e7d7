//! The contract of a result backend: where the ends of tasks are kept and waited for.

use crate::{
    BoxFuture,
    claims::{Bid, ClaimAnswer, Mark},
    error::ResultError,
    id::TaskId,
    record::ResultRecord,
    status::Step,
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};

/// Keeps how tasks ended, for a time, and wakes those who wait. Object-safe; a result backend of one's own implements
/// just this, and `taskq-conformance` tests it.
///
/// A record belongs to a round of a task id. The first record of a round wins; one of a higher round replaces it; one
/// of a lower round is not taken. No record is kept longer than its time to live.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use std::{collections::HashMap, sync::Mutex, time::{Duration, Instant}};
/// use taskq::{BoxFuture, ResultBackend, ResultError, ResultRecord, TaskId};
/// use tokio::sync::Notify;
/// # use taskq::End;
///
/// /// What has expired is not given out, and stays in memory: a real one would clear it.
/// #[derive(Default)]
/// struct Shelf {
///     kept: Mutex<HashMap<TaskId, (ResultRecord, Instant)>>,
///     stored: Notify,
/// }
///
/// impl Shelf {
///     fn get(&self, id: &TaskId) -> Option<ResultRecord> {
///         let kept = self.kept.lock().unwrap();
///         kept.get(id).filter(|(_, end)| *end > Instant::now()).map(|(record, _)| record.clone())
///     }
///
///     fn put(&self, id: &TaskId, record: &ResultRecord, ttl: Duration) -> Option<ResultRecord> {
///         let (mut kept, now) = (self.kept.lock().unwrap(), Instant::now());
///         match kept.get(id) {
///             Some((earlier, end)) if *end > now && earlier.round >= record.round => return Some(earlier.clone()),
///             _ => kept.insert(id.clone(), (record.clone(), now + ttl)),
///         };
///         self.stored.notify_waiters();
///         None
///     }
/// }
///
/// impl ResultBackend for Shelf {
///     fn store<'a>(
///         &'a self,
///         id: &'a TaskId,
///         record: &'a ResultRecord,
///         ttl: Duration,
///     ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
///         Box::pin(async move { Ok(self.put(id, record, ttl)) })
///     }
///
///     fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
///         Box::pin(async move { Ok(self.get(id)) })
///     }
///
///     fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> {
///         Box::pin(async move {
///             loop {
///                 let stored = self.stored.notified(); // before looking, so that nothing falls between
///                 match self.get(id) {
///                     Some(record) if record.round >= round => return Ok(record),
///                     _ => stored.await,
///                 }
///             }
///         })
///     }
/// }
/// # let (shelf, id, ttl) = (Shelf::default(), TaskId::new(), Duration::from_secs(60));
/// # let (first, mut second) = (ResultRecord::new(End::Expired, "t"), ResultRecord::new(End::Cancelled, "t"));
/// # second.round = 1;
/// # assert_eq!(shelf.store(&id, &first, ttl).await?, None);
/// # assert_eq!(shelf.store(&id, &first, ttl).await?, Some(first.clone()));
/// # let (waited, stored) = tokio::join!(shelf.wait(&id, 1), shelf.store(&id, &second, ttl));
/// # assert_eq!((waited?, stored?), (second.clone(), None));
/// # assert_eq!(shelf.store(&id, &first, ttl).await?, Some(second));
/// # Ok(()) }
/// ```
pub trait ResultBackend: Send + Sync + 'static {
    /// Connects and checks that the backend can be used. Called when an app starts, which fails with this error, and
    /// again when the app then tries again. By default there is nothing to do.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, Error, BoxFuture, InMemoryBroker, ResultBackend, ResultError, ResultRecord, TaskId, WorkerError};
    /// # use std::time::Duration;
    /// # struct Misspelt;
    /// impl ResultBackend for Misspelt {
    ///     fn startup(&self) -> BoxFuture<'_, Result<(), ResultError>> {
    ///         Box::pin(async { Err(ResultError::SetUp { reason: "`reddis` is not a scheme; write `redis`".into() }) })
    ///     }
    /// #   fn store<'a>(&'a self, _: &'a TaskId, _: &'a ResultRecord, _: Duration) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
    /// #       Box::pin(async { Ok(None) })
    /// #   }
    /// #   fn fetch<'a>(&'a self, _: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> { Box::pin(async { Ok(None) }) }
    /// #   fn wait<'a>(&'a self, _: &'a TaskId, _: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> { Box::pin(std::future::pending()) }
    ///     // ..
    /// }
    ///
    /// let app = InMemoryBroker::new().with_result_backend(Misspelt);
    /// let error = app.startup().await.unwrap_err(); // before anything is sent or consumed
    /// assert!(matches!(error, WorkerError::Results(ResultError::SetUp { .. })));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::SetUp`] if the address or the credentials are wrong: that does not mend itself.
    /// [`ResultError::Store`] if the store does not answer.
    fn startup(&self) -> BoxFuture<'_, Result<(), ResultError>> {
        Box::pin(async { Ok(()) })
    }

    /// Keeps `record` for `ttl`. Resolves to `None` when it is kept now, or to the record that was there before it, of
    /// the same or a higher round. Safe to repeat after an error, and after the future was dropped, which leaves open
    /// whether the record is kept.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use std::time::Duration;
    /// # use taskq::{End, InMemoryResults, ResultBackend, ResultRecord, TaskId};
    /// let (results, id, day) = (InMemoryResults::new(), TaskId::new(), Duration::from_secs(86_400));
    /// let [first, second] = [End::Expired, End::Cancelled].map(|end| ResultRecord::new(end, "mail.send"));
    /// assert_eq!(results.store(&id, &first, day).await?, None);
    /// assert_eq!(results.store(&id, &second, day).await?, Some(first)); // the first one of a round counts
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Store`] when that is not known; [`ResultError::Decode`] when a record is there that cannot be
    /// read.
    fn store<'a>(
        &'a self,
        id: &'a TaskId,
        record: &'a ResultRecord,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>>;

    /// Whether a worker hands over together, by [`ResultBackend::store_many`], what its runs come to while the store is
    /// busy, and in a steady flow of tasks for a millisecond or two after that: where a way to the store and back costs more than
    /// what is kept. By default it does not.
    ///
    /// ```
    /// use taskq::{InMemoryResults, ResultBackend};
    /// assert!(!InMemoryResults::new().stores_together()); // there is no way to go
    /// ```
    fn stores_together(&self) -> bool {
        false
    }

    /// Keeps each of these records for its time, as [`ResultBackend::store`] does, and resolves to what that would have
    /// resolved to, in the same order. By default they are stored at the same time, one by one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use std::time::Duration;
    /// # use taskq::{End, InMemoryResults, ResultBackend, ResultRecord, TaskId};
    /// let (results, day) = (InMemoryResults::new(), Duration::from_secs(86_400));
    /// let records: Vec<_> =
    ///     ["order-17", "order-18"].map(|id| (TaskId::from(id), ResultRecord::new(End::Expired, "mail.send"), day)).into();
    /// let kept = results.store_many(&records).await;
    /// assert!(kept.iter().all(|kept| matches!(kept, Ok(None))));
    /// assert!(results.fetch(&TaskId::from("order-18")).await?.is_some());
    /// # Ok(()) }
    /// ```
    fn store_many<'a>(
        &'a self,
        records: &'a [(TaskId, ResultRecord, Duration)],
    ) -> BoxFuture<'a, Vec<Result<Option<ResultRecord>, ResultError>>> {
        Box::pin(join_all(records.iter().map(|(id, record, ttl)| self.store(id, record, *ttl))))
    }

    /// Resolves to the record under `id`, of whatever round, if there is one. Cancel safe.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskId};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// # let handle = add(2, 3).kiq().on(&app).await?;
    /// # handle.wait_result().await?;
    /// let results = app.results().unwrap();
    /// let record = results.fetch(handle.id()).await?.unwrap();
    /// assert_eq!((&*record.task, record.attempts), ("add", 1));
    /// assert_eq!(results.fetch(&TaskId::from("never-used")).await?, None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Store`] when that is not known, [`ResultError::Decode`] for one that cannot be read.
    fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>>;

    /// Resolves when there is a record of `round` or a higher one under `id`: pushed, not polled, and at once if it is
    /// there. Rides out a store that is away. Cancel safe: dropping the future ends the wait.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use std::time::Duration;
    /// # use taskq::{End, InMemoryResults, ResultBackend, ResultRecord, TaskId};
    /// let (results, id, day) = (InMemoryResults::new(), TaskId::new(), Duration::from_secs(86_400));
    /// let record = ResultRecord::new(End::Expired, "mail.send");
    /// let (waited, stored) = tokio::join!(results.wait(&id, 0), results.store(&id, &record, day));
    /// assert_eq!((waited?, stored?), (record, None));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Decode`] for a record that cannot be read, [`ResultError::SetUp`] when the store refuses this
    /// user.
    fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>>;

    /// Whether [`ResultBackend::track`] and [`ResultBackend::step`] are there; by default they are not, and an app that
    /// asks for tracking does not start.
    ///
    /// ```
    /// use taskq::{InMemoryResults, ResultBackend};
    /// assert!(InMemoryResults::new().tracks()); // so an app on it may say `.with_tracking()`
    /// ```
    fn tracks(&self) -> bool {
        false
    }

    /// Notes a step of a task on its way, for `ttl`. [`Step::Queued`] never replaces another step. Resolves when the
    /// note is kept; after an error, or when the future is dropped, it may be lost. By default nothing is noted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use std::time::Duration;
    /// # use taskq::{InMemoryResults, ResultBackend, Step, TaskId};
    /// let (results, id, day) = (InMemoryResults::new(), TaskId::new(), Duration::from_secs(86_400));
    /// results.track(&id, Step::Running, day).await?;
    /// results.track(&id, Step::Queued, day).await?; // from the sender, and too late
    /// assert_eq!(results.step(&id).await?, Some(Step::Running));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Store`]; a note may be lost.
    fn track<'a>(&'a self, id: &'a TaskId, step: Step, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        let _ = (id, step, ttl);
        Box::pin(async { Ok(()) })
    }

    /// Resolves to the last step that was noted, if there is one. Cancel safe. By default there is none.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, Step};
    /// let app = InMemoryBroker::new().without_worker().with_tracking().register::<Add>();
    /// let handle = add(2, 3).kiq().on(&app).await?;
    /// let results = app.results().unwrap();
    /// assert_eq!(results.step(handle.id()).await?, Some(Step::Queued));
    /// # Ok(()) }
    /// ```
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
    /// ```
    /// # use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::ResultError> {
    /// let results = InMemoryResults::new();
    /// let run = RunId { task: "order-17".into(), round: 0, attempt: 2 };
    /// let claim = match results.claim(&Bid::new(run, "worker-1")).await? {
    ///     Some(ClaimAnswer::Run(claim)) => Some(claim),
    ///     _ => None, // not here, or not again
    /// };
    /// assert!(claim.is_some());
    /// # Ok(()) }
    /// ```
    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        let _ = bid;
        Box::pin(async { Ok(None) })
    }

    /// Notes that a worker runs the task which needs no claim for it, until the mark is dropped: a bid for a copy of its
    /// message is answered with [`ClaimAnswer::Elsewhere`] meanwhile. Resolves when it is noted. `None` where nothing is
    /// claimed.
    ///
    /// ```
    /// # use taskq::{InMemoryResults, ResultBackend, TaskId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::ResultError> {
    /// let results = InMemoryResults::new();
    /// let mark = results.mark(&TaskId::from("order-17")).await?;
    /// assert!(mark.is_some());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Store`] if the store cannot be asked.
    fn mark<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Mark>, ResultError>> {
        let _ = id;
        Box::pin(async { Ok(None) })
    }

    /// Notes for `ttl` that what was decided after the run has been carried out, and ends the owner's claim, if there is
    /// one: a message of this run that comes again is acknowledged and nothing else. Without effect while another owner
    /// holds a claim. `ended` says that the task has ended with this run.
    ///
    /// ```
    /// # use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::ResultError> {
    /// # let results = InMemoryResults::new();
    /// let bid = Bid::new(RunId { task: "order-17".into(), round: 0, attempt: 1 }, "worker-1");
    /// results.carried_out(&bid, false, Duration::from_secs(3600)).await?; // attempt 2 is on its way
    /// assert!(matches!(results.claim(&bid).await?, Some(ClaimAnswer::CarriedOut)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Store`]: it is tried again, for as long as a result is held, and the message is not acknowledged until then.
    fn carried_out<'a>(&'a self, bid: &'a Bid, ended: bool, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        let _ = (bid, ended, ttl);
        Box::pin(async { Ok(()) })
    }

    /// Disconnects, when the app is shut down. Resolves when that is done; it cannot fail. By default there is nothing
    /// to do.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// # use std::{sync::Arc, time::Duration};
    /// # use taskq::{BoxFuture, BrokerExt, InMemoryBroker, ResultBackend, ResultError, ResultRecord, TaskId};
    /// # #[derive(Default)]
    /// # struct Shelf { closed: AtomicBool }
    /// impl ResultBackend for Shelf {
    ///     fn close(&self) -> BoxFuture<'_, ()> {
    ///         Box::pin(async { self.closed.store(true, Ordering::Relaxed) })
    ///     }
    /// #   fn store<'a>(&'a self, _: &'a TaskId, _: &'a ResultRecord, _: Duration) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
    /// #       Box::pin(async { Ok(None) })
    /// #   }
    /// #   fn fetch<'a>(&'a self, _: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> { Box::pin(async { Ok(None) }) }
    /// #   fn wait<'a>(&'a self, _: &'a TaskId, _: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> { Box::pin(std::future::pending()) }
    ///     // ..
    /// }
    ///
    /// let shelf = Arc::new(Shelf::default());
    /// let app = InMemoryBroker::new().with_result_backend(shelf.clone());
    /// app.shutdown().await?;
    /// assert!(shelf.closed.load(Ordering::Relaxed));
    /// # Ok(()) }
    /// ```
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
    fn stores_together(&self) -> bool {
        (**self).stores_together()
    }
    fn store_many<'a>(
        &'a self,
        records: &'a [(TaskId, ResultRecord, Duration)],
    ) -> BoxFuture<'a, Vec<Result<Option<ResultRecord>, ResultError>>> {
        (**self).store_many(records)
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
    fn mark<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Mark>, ResultError>> {
        (**self).mark(id)
    }
    fn carried_out<'a>(&'a self, bid: &'a Bid, ended: bool, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        (**self).carried_out(bid, ended, ttl)
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        (**self).close()
    }
}
