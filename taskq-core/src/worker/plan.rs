//! What a worker is about to do, as its start table shows it.

use super::Worker;
use crate::{queue::QueueSpec, task::TaskDef};
use std::{fmt, num::NonZeroU16, time::Duration};

/// One queue that a worker consumes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BrokerExt, InMemoryBroker, QueueSpec};
/// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail").priorities(10));
/// app.startup().await?;
/// for queue in app.worker().plan().queues {
///     println!("{}: {} at once, {} held", queue.spec.name(), queue.concurrency, queue.prefetch);
/// }
/// # let plan = app.worker().plan();
/// # assert_eq!((plan.queues[0].spec.name(), plan.queues[0].concurrency, plan.queues[0].prefetch.get()), ("mail", 100, 200));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueuePlan {
    /// The queue.
    pub spec: QueueSpec,
    /// Tasks of this queue that run at once.
    pub concurrency: usize,
    /// Deliveries of this queue held at once, running ones included.
    pub prefetch: NonZeroU16,
}

/// What a worker is about to do. Its `Display` is the table that a worker prints when it starts.
///
/// ```
/// # use taskq::{BrokerExt, InMemoryBroker};
/// let plan = InMemoryBroker::new().into_app().worker().queue_with("mail", 8).plan();
/// assert_eq!((plan.queues[0].concurrency, plan.queues[0].prefetch.get()), (8, 16));
/// println!("{plan}");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerPlan {
    /// Host and process, as results name it.
    pub name: String,
    /// The tasks that it can run, by name, with their queues.
    pub tasks: Vec<(TaskDef, String)>,
    /// The queues that it consumes.
    pub queues: Vec<QueuePlan>,
    /// The limit of one run of the tasks that set none.
    pub task_timeout: Duration,
}

impl Worker {
    /// What this worker is about to do. Complete once the app has started: before that, the app's own queues are
    /// missing.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// app.startup().await?;
    /// let plan = app.worker().plan();
    /// assert_eq!((plan.tasks[0].0.name, plan.tasks[0].1.as_str()), ("add", "taskq"));
    /// assert_eq!(plan.queues[0].spec.name(), "taskq");
    /// # Ok(()) }
    /// ```
    pub fn plan(&self) -> WorkerPlan {
        let tasks = self.app.tasks().unwrap_or_default();
        let queues = match self.queues.as_slice() {
            [] => self.app.queues().iter().map(|spec| self.plan_queue(spec.clone(), None)).collect(),
            named => {
                named.iter().map(|(name, concurrency)| self.plan_queue(self.spec_of(name), *concurrency)).collect()
            }
        };
        let tasks = tasks.into_iter().map(|def| (def, self.app.queue_of(&def).to_owned())).collect();
        WorkerPlan { name: process_name(), tasks, queues, task_timeout: self.task_timeout }
    }

    /// A queue that this app does not declare must exist, unless it is its default one: consuming does not create it.
    fn spec_of(&self, name: &str) -> QueueSpec {
        match self.app.queues().iter().find(|spec| spec.name() == name) {
            Some(declared) => declared.clone(),
            None if name == self.app.default_queue() => QueueSpec::new(name),
            None => QueueSpec::new(name).existing(),
        }
    }

    fn plan_queue(&self, spec: QueueSpec, concurrency: Option<usize>) -> QueuePlan {
        let embedded = if self.embedded { self.app.broker().embedded_concurrency(spec.name()) } else { None };
        let concurrency = embedded.map(usize::from).or(concurrency).unwrap_or(self.concurrency);
        // Inside one process nothing is gained by holding more than runs, and order and priorities are kept exactly.
        let held = if embedded.is_some() { concurrency } else { concurrency.saturating_mul(2) };
        let prefetch = NonZeroU16::new(u16::try_from(held).unwrap_or(u16::MAX)).unwrap_or(NonZeroU16::MIN);
        QueuePlan { spec, concurrency, prefetch }
    }
}

/// Host and process.
fn process_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    format!("{}/{}", host.as_deref().map_or("localhost", str::trim), std::process::id())
}

impl fmt::Display for WorkerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "taskq {} worker {}", env!("CARGO_PKG_VERSION"), self.name)?;
        let name_width = self.tasks.iter().map(|(def, _)| def.name.len()).max().unwrap_or(0).max(4);
        let queue_width =
            self.tasks.iter().map(|(_, queue)| queue.len()).chain(self.queues.iter().map(|q| q.spec.name().len()));
        let queue_width = queue_width.max().unwrap_or(0).max(5);
        writeln!(f, "  {:name_width$}  {:queue_width$}  retry  timeout", "task", "queue")?;
        for (def, queue) in &self.tasks {
            let timeout = humantime::format_duration(def.config.timeout.unwrap_or(self.task_timeout));
            writeln!(f, "  {:name_width$}  {:queue_width$}  {:5}  {timeout}", def.name, queue, def.config.retry)?;
        }
        writeln!(f, "  {:queue_width$}  concurrency  prefetch", "queue")?;
        for queue in &self.queues {
            writeln!(f, "  {:queue_width$}  {:11}  {:8}", queue.spec.name(), queue.concurrency, queue.prefetch)?;
        }
        Ok(())
    }
}
