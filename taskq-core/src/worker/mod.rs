//! The worker: receive, execute, decide, settle.
//!
//! ```text
//! receive ──Delivery──> arrival, admit ──> run, execute ──Outcome──> decide ──Verdict──> settle ──Settlement──> broker
//! ```
//!
//! Deciding is pure (`retry`). Of these stages `admit` asks the result store before a run begins, `watch` while it goes on; only
//! `settle` writes what comes of it.

mod admit;
mod alarms;
mod arrival;
mod begin;
mod doubt;
mod durable;
mod embedded;
mod ending;
mod execute;
mod flow;
mod logging;
mod lull;
#[cfg(feature = "worker-main")]
#[doc(hidden)]
pub mod main;
mod note;
mod patience;
mod plan;
mod process;
mod progress;
mod pulse;
mod quarantine;
mod receive;
mod run;
mod running;
mod serve;
mod settle;
mod slot;
mod standing;
mod store;
mod trust;
mod watch;

#[cfg(feature = "worker-main")]
#[doc(inline)]
pub use crate::__worker_main as main;
pub(crate) use embedded::Embedded;
pub use plan::{QueuePlan, WorkerPlan};

use crate::{
    app::App,
    defaults::{CONCURRENCY, SHUTDOWN_TIMEOUT, TASK_TIMEOUT},
    error::WorkerError,
    span::IntoSpan,
};
use std::{future::Future, time::Duration};
use tokio_util::sync::CancellationToken;

/// Runs an app's tasks: takes messages from queues, runs them, and settles them when their outcome is durable.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{App, BrokerExt, InMemoryBroker, Run, Task, TaskConfig, TaskContext, BoxError};
/// # struct Ping;
/// # impl Task for Ping { type Args = (); type Output = (); type Returns = (); const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
/// # impl Run for Ping { async fn run(_: TaskContext, _: ()) -> Result<(), BoxError> { Ok(()) } }
/// # let app = InMemoryBroker::new().register::<Ping>();
/// let stop = async { /* ctrl_c().await */ };
/// app.worker().concurrency(8).run_until(stop).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a worker does nothing until `run_until` is awaited"]
pub struct Worker {
    app: App,
    concurrency: usize,
    queues: Vec<(String, Option<usize>)>,
    shutdown_timeout: Duration,
    task_timeout: Duration,
    invalid: Option<String>,
    embedded: bool,
}

impl Worker {
    pub(crate) fn new(app: App) -> Self {
        Worker {
            app,
            concurrency: CONCURRENCY,
            queues: Vec::new(),
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            task_timeout: TASK_TIMEOUT,
            invalid: None,
            embedded: false,
        }
    }

    /// How many tasks of each queue run at once: 100 by default; 0 counts as 1. Twice as many deliveries are held.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # use std::time::Duration;
    /// let app = InMemoryBroker::new().without_worker().register::<Nap>();
    /// let naps = app.kiq_many([nap(60), nap(60)]).await?;
    /// let began = tokio::time::Instant::now();
    /// app.worker().concurrency(1).run_until(naps[1].wait_result()).await?;
    /// assert!(began.elapsed() >= Duration::from_secs(120)); // one after the other
    /// # Ok(()) }
    /// ```
    pub fn concurrency(mut self, tasks: usize) -> Self {
        self.concurrency = tasks.max(1);
        self
    }

    /// Consumes this queue, and no others than those named in this way. Without any, all queues of the app. One that
    /// the app does not declare must exist, unless it is its default one.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, QueueSpec};
    /// let app = InMemoryBroker::new().without_worker().with_queue(QueueSpec::new("urgent")).register::<Add>();
    /// add(1, 1).kiq().on(&app).await?;
    /// let urgent = add(2, 3).kiq().queue("urgent").on(&app).await?;
    /// app.worker().queue("urgent").run_until(urgent.wait_result()).await?;
    /// assert_eq!(app.broker().inspect("taskq").await?.ready, 1); // still there
    /// # Ok(()) }
    /// ```
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queues.push((name.into(), None));
        self
    }

    /// Consumes this queue, as [`Worker::queue`] does, so many tasks at once; 0 counts as 1.
    ///
    /// ```
    /// use taskq::{BrokerExt, InMemoryBroker};
    /// let worker = InMemoryBroker::new().into_app().worker().concurrency(50).queue("mail").queue_with("reports", 2);
    /// let plan = worker.plan();
    /// assert_eq!((plan.queues[0].concurrency, plan.queues[1].concurrency), (50, 2));
    /// ```
    pub fn queue_with(mut self, name: impl Into<String>, concurrency: usize) -> Self {
        self.queues.push((name.into(), Some(concurrency.max(1))));
        self
    }

    /// Time that running tasks get when the worker stops; 25 s by default. Text that is not a duration is
    /// [`WorkerError::Invalid`] when the worker is run.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, WorkerError};
    /// # use std::time::Duration;
    /// # let app = InMemoryBroker::new().without_worker().register::<Nap>();
    /// nap(3600).kiq().on(&app).await?;
    /// let stop = tokio::time::sleep(Duration::from_secs(5));
    /// let ended = app.worker().shutdown_timeout("10s").run_until(stop).await;
    /// assert!(matches!(ended, Err(WorkerError::Abandoned { in_flight: 1 })));
    /// assert_eq!(app.broker().inspect("taskq").await?.ready, 1); // it runs again elsewhere
    /// # Ok(()) }
    /// ```
    pub fn shutdown_timeout(mut self, timeout: impl IntoSpan) -> Self {
        match timeout.into_span() {
            Ok(timeout) => self.shutdown_timeout = timeout,
            Err(reason) => self.invalid = Some(format!("shutdown_timeout: {reason}")),
        }
        self
    }

    /// Time limit of one run, for tasks that name none; 25 min by default. Text that is not a duration is
    /// [`WorkerError::Invalid`] when the worker is run.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, FailureKind, InMemoryBroker};
    /// # let app = InMemoryBroker::new().without_worker().register::<Nap>();
    /// let handle = nap(120).kiq().on(&app).await?;
    /// app.worker().task_timeout("1m").run_until(handle.wait_result()).await?;
    /// let failure = handle.wait_result().await?.into_value().unwrap_err();
    /// assert_eq!(failure.kind, FailureKind::Timeout);
    /// # Ok(()) }
    /// ```
    pub fn task_timeout(mut self, timeout: impl IntoSpan) -> Self {
        match timeout.into_span() {
            Ok(timeout) => self.task_timeout = timeout,
            Err(reason) => self.invalid = Some(format!("task_timeout: {reason}")),
        }
        self
    }

    /// Runs until `stop` resolves, then in stages: takes nothing more and gives back what has not started; lets running
    /// tasks finish for the shutdown timeout; interrupts the rest, which run again elsewhere at no cost of an attempt.
    ///
    /// Dropping the future stops at once: what was running goes back to its queue.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskStatus};
    /// # use std::time::Duration;
    /// # let app = InMemoryBroker::new().without_worker().register::<Nap>();
    /// let handle = nap(20).kiq().on(&app).await?;
    /// let stop = tokio::time::sleep(Duration::from_secs(5)); // or `tokio::signal::ctrl_c()`
    /// app.worker().run_until(stop).await?;
    /// assert_eq!(handle.status().await?, TaskStatus::Done); // it was allowed to finish
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Before anything is consumed: those of [`App::startup`], [`WorkerError::Invalid`] for an option that cannot be
    /// used, [`WorkerError::NoTasks`], [`WorkerError::MissingState`], and [`WorkerError::Broker`] for a queue that
    /// cannot be consumed. [`BrokerError::Closed`](crate::BrokerError::Closed) if the broker was closed under it; [`WorkerError::Abandoned`] if
    /// tasks had to be interrupted.
    pub async fn run_until<F: Future>(self, stop: F) -> Result<(), WorkerError> {
        let stopping = CancellationToken::new();
        let run = self.run_until_stopped(stopping.clone(), CancellationToken::new());
        let mut run = std::pin::pin!(run);
        tokio::select! {
            ended = &mut run => return ended,
            _ = stop => stopping.cancel(),
        }
        run.await
    }

    /// Runs until `stop` is cancelled, then as [`Worker::run_until`] does; cancelling `now` ends the waiting for
    /// running tasks. Dropping the future stops at once.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, WorkerError};
    /// # use std::time::Duration;
    /// use tokio_util::sync::CancellationToken;
    /// # let app = InMemoryBroker::new().without_worker().register::<Nap>();
    /// # nap(3600).kiq().on(&app).await?;
    ///
    /// let (stop, now) = (CancellationToken::new(), CancellationToken::new());
    /// let running = tokio::spawn(app.worker().run_until_stopped(stop.clone(), now.clone()));
    /// tokio::time::sleep(Duration::from_secs(5)).await;
    /// stop.cancel(); // at the first signal
    /// now.cancel(); // at the second: whoever sent it does not want to wait
    /// assert!(matches!(running.await.unwrap(), Err(WorkerError::Abandoned { in_flight: 1 })));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Worker::run_until`].
    pub async fn run_until_stopped(self, stop: CancellationToken, now: CancellationToken) -> Result<(), WorkerError> {
        if let Some(reason) = &self.invalid {
            return Err(WorkerError::Invalid { what: "the worker's option".into(), reason: reason.clone() });
        }
        self.app.started().await?;
        let plan = self.plan();
        if !self.embedded {
            self.check(&plan)?;
        }
        if self.app.tasks()?.iter().any(|def| def.config.retry > 0) {
            // Not a reason to run nothing: the first retry asks for them again.
            if let Err(error) = self.app.broker().prepare_delays().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "the broker has not prepared delays yet");
            }
        }
        let _pause = (!self.embedded).then(|| self.app.embedded().pause());
        self.run(&plan, stop, now).await
    }

    /// Whether there is something to run, and whether all that the tasks take from the app is there.
    fn check(&self, plan: &WorkerPlan) -> Result<(), WorkerError> {
        let tasks = self.app.tasks()?;
        if tasks.is_empty() {
            return Err(WorkerError::NoTasks);
        }
        let consumed = |name: &str| plan.queues.iter().any(|queue| queue.spec.name() == name);
        for def in tasks.iter().filter(|def| consumed(self.app.queue_of(def))) {
            (def.check)(self.app.state()).map_err(|error| WorkerError::MissingState {
                task: def.name.to_owned(),
                location: def.location.to_string(),
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }
}
