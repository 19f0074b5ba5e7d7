//! Starting: wrong set-up is found here, before anything is sent or consumed.

use super::App;
use crate::{
    error::{BrokerError, WorkerError},
    queue::QueueSpec,
    registry::Registry,
    spill,
    task::TaskDef,
};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

/// What starting has found out.
pub(super) struct Started {
    registry: Registry,
    queues: Vec<QueueSpec>,
    /// Tasks that this app would run by itself and cannot, and why. A worker that is started by hand says so at its start;
    /// here a test of some tasks need not provide for all the others that are linked into it.
    unready: HashMap<&'static str, String>,
}

impl App {
    /// Connects, declares the queues of the registered tasks and of `with_queue`, and checks that all that was asked
    /// for can be had. The default queue is among them if a registered task names no queue, if `with_default_queue`
    /// named it, or if the app has neither tasks nor queues, as one that only sends. Resolves when that is done; calling it again does nothing. The first app that starts becomes the
    /// default of the process. A `kiq` and a worker start their app by themselves; this finds what is wrong before the
    /// first of them.
    ///
    /// Cancel safe: an app whose start was dropped has not started, and can be started again.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{WorkerError, prelude::*};
    /// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail.#"));
    /// let error = app.startup().await.unwrap_err();
    /// assert!(matches!(&error, WorkerError::Invalid { what, .. } if what.contains("mail.#")), "{error}");
    ///
    /// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail"));
    /// app.startup().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WorkerError`]: duplicate task names with both locations, names that cannot be used, options that the broker or
    /// the result backend cannot honour, a queue that exists with other arguments, an unreachable broker or result
    /// store; [`BrokerError::Closed`] after [`App::shutdown`].
    pub async fn startup(&self) -> Result<(), WorkerError> {
        if self.embedded().is_stopped() {
            return Err(BrokerError::Closed.into());
        }
        self.started().await?;
        self.run_embedded();
        Ok(())
    }

    /// Ends the tasks that run in this process's own app, and disconnects. Does not wait for them: `wait_idle` of the
    /// in-memory broker does. What was not done goes back to its queue. An app that was shut down does not start again.
    ///
    /// Resolves when the broker has disconnected. Dropping the future leaves open how far that came; it can be called
    /// again.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let broker = InMemoryBroker::new();
    /// let app = broker.clone().register::<Ping>();
    /// ping.kiq().on(&app).await?;
    /// broker.wait_idle().await;
    /// app.shutdown().await?;
    /// assert!(ping.kiq().on(&app).await.is_err(), "the broker is closed");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Disconnecting did not go as it should; the app has ended all the same.
    pub async fn shutdown(&self) -> Result<(), WorkerError> {
        self.embedded().stop();
        self.unmake_default();
        if let Some(results) = self.results() {
            results.close().await;
        }
        Ok(self.broker().close().await?)
    }

    pub(crate) async fn started(&self) -> Result<(), WorkerError> {
        self.live.started.get_or_try_init(|| self.start()).await.map(drop)
    }

    pub(crate) fn has_started(&self) -> bool {
        self.live.started.initialized()
    }

    async fn start(&self) -> Result<Started, WorkerError> {
        let registry = Registry::build(&self.config.tasks)?;
        let queues = self.queues_of(&registry);
        self.live.has_broker.store(false, Ordering::Relaxed);
        self.check(&registry, &queues)?;
        for queue in &queues {
            self.broker().declare(queue).await?;
        }
        self.live.has_broker.store(true, Ordering::Relaxed);
        if let Some(results) = self.results() {
            results.startup().await?;
        }
        self.make_default_if_first();
        let unready = self.unready_of(&registry);
        Ok(Started { registry, queues, unready })
    }

    /// What starting waits for, to be named when that takes too long.
    pub(crate) fn awaited(&self) -> &'static str {
        if self.live.has_broker.load(Ordering::Relaxed) { "its result store" } else { "its broker" }
    }

    fn unready_of(&self, registry: &Registry) -> HashMap<&'static str, String> {
        let unready = |def: &TaskDef| Some((def.name, (def.check)(self.state()).err()?.to_string()));
        match self.broker().embedded_concurrency(self.default_queue()) {
            Some(_) => registry.iter().filter_map(unready).collect(),
            None => HashMap::new(),
        }
    }

    /// Why a task that this app would run by itself cannot run. `None` too before the app has started.
    pub(crate) fn unready(&self, task: &str) -> Option<&str> {
        self.live.started.get()?.unready.get(task).map(String::as_str)
    }

    /// The queues of `with_queue`, those that registered tasks go to, and the default one if somebody named it.
    ///
    /// Who only sends names neither tasks nor queues, and sends to the default one. Anybody else who does not use it
    /// leaves it alone: it may be another app's, whose tasks would be unknown here.
    fn queues_of(&self, registry: &Registry) -> Vec<QueueSpec> {
        let mut queues = self.config.queues.clone();
        let mut named: Vec<&str> = registry.iter().map(|def| self.queue_of(def)).collect();
        if self.config.default_queue.is_some() || (named.is_empty() && queues.is_empty()) {
            named.push(self.default_queue());
        }
        named.sort_unstable();
        named.dedup();
        named.retain(|name| self.queue_spec(name).is_none());
        queues.extend(named.into_iter().map(QueueSpec::new));
        queues
    }

    fn check(&self, registry: &Registry, queues: &[QueueSpec]) -> Result<(), WorkerError> {
        if let Some(reason) = &self.config.invalid {
            return Err(WorkerError::Invalid { what: "the app's option".into(), reason: reason.clone() });
        }
        let can = self.broker().capabilities();
        for queue in queues {
            queue
                .check()
                .map_err(|reason| WorkerError::Invalid { what: format!("queue {:?}", queue.name()), reason })?;
            if queue.highest_priority().is_some() && !can.priorities {
                let what = format!("queue `{}` has priorities, which this broker does not have", queue.name());
                return Err(WorkerError::Unsupported { what });
            }
        }
        if self.config.tracks && !self.results().is_some_and(|results| results.tracks()) {
            let what = "`with_tracking` needs a result backend that tracks".to_owned();
            return Err(WorkerError::Unsupported { what });
        }
        registry.iter().try_for_each(|def| self.check_task(def))
    }

    fn check_task(&self, def: &TaskDef) -> Result<(), WorkerError> {
        let what = || format!("task `{}` (at {})", def.name, def.location);
        self.check_task_name(def.name).map_err(|reason| WorkerError::Invalid { what: what(), reason })?;
        let lacks = |option: &str, needs: &str| {
            Err(WorkerError::Unsupported { what: format!("{} has {option}, which needs {needs}", what()) })
        };
        let config = &def.config;
        if config.retry > 0 && !self.broker().capabilities().delay {
            return lacks("`retry`", "a broker with delays");
        }
        if config.track && !self.results().is_some_and(|results| results.tracks()) {
            return lacks("`track`", "a result backend that tracks");
        }
        if config.result_ttl.is_some() && self.results().is_none() {
            return lacks("`result_ttl`", "a result backend");
        }
        Ok(())
    }

    /// The task of that name. `None` too before the app has started.
    pub(crate) fn task(&self, name: &str) -> Option<&Arc<TaskDef>> {
        self.live.started.get()?.registry.get(name).or_else(|| spill::built_in(name))
    }

    /// The registered tasks, by name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let app = InMemoryBroker::new().register::<Ping>();
    /// for task in app.tasks()? {
    ///     println!("{} at {}, {} retries", task.name, task.location, task.config.retry);
    /// }
    /// # assert_eq!(app.tasks()?.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WorkerError::DuplicateTask`] with both locations.
    pub fn tasks(&self) -> Result<Vec<TaskDef>, WorkerError> {
        match self.live.started.get() {
            Some(started) => Ok(started.registry.sorted()),
            None => Ok(Registry::build(&self.config.tasks)?.sorted()),
        }
    }

    /// The queues that this app declares. Empty before it has started.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail").priorities(10));
    /// assert!(app.queues().is_empty());
    /// app.startup().await?;
    /// let names: Vec<_> = app.queues().iter().map(QueueSpec::name).collect();
    /// assert_eq!(names, ["mail"]);
    /// # Ok(()) }
    /// ```
    pub fn queues(&self) -> &[QueueSpec] {
        self.live.started.get().map(|started| started.queues.as_slice()).unwrap_or_default()
    }
}
