//! Events for metrics, notifications and dashboards.

use crate::{
    delivery::Settlement,
    message::Message,
    outcome::{Outcome, Verdict},
};
use std::time::Duration;

/// Something that happened. More kinds may be added.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use std::sync::{Arc, Mutex};
/// use taskq::{Event, Observer, Verdict};
/// # use taskq::{BrokerExt, InMemoryBroker};
///
/// #[derive(Clone, Default)]
/// struct Journal(Arc<Mutex<Vec<String>>>);
///
/// impl Observer for Journal {
///     fn on(&self, event: &Event<'_>) {
///         let line = match event {
///             Event::Finished { verdict: Verdict::DeadLetter(failure), .. } => failure.to_string(),
///             Event::Finished { message, took, .. } => format!("{} took {took:?}", message.task),
///             Event::Settled { queue, settlement, .. } => format!("{queue}: {settlement:?}"),
///             _ => return,
///         };
///         self.0.lock().unwrap().push(line);
///     }
/// }
///
/// let (broker, journal) = (InMemoryBroker::new(), Journal::default());
/// let app = broker.clone().with_observer(journal.clone()).register::<Add>();
/// add(i64::MAX, 1).kiq().on(&app).await?;
/// broker.wait_idle().await;
/// let lines = journal.0.lock().unwrap();
/// assert_eq!(lines[0], "task failed after 1 attempt (error): the sum is too large");
/// assert_eq!(lines[1], "taskq: Ack");
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A message was confirmed by the broker.
    Published {
        /// The message.
        message: &'a Message,
        /// Its queue.
        queue: &'a str,
    },
    /// A run begins.
    Started {
        /// The message.
        message: &'a Message,
        /// Its queue.
        queue: &'a str,
    },
    /// A run ended, and it was decided what follows. What ends without a run has no such event, only its settlement: a
    /// task that has expired, one of an unknown name, a message that cannot be read.
    Finished {
        /// The message.
        message: &'a Message,
        /// Its queue.
        queue: &'a str,
        /// What happened.
        outcome: &'a Outcome,
        /// What was decided.
        verdict: &'a Verdict,
        /// How long the run took.
        took: Duration,
    },
    /// The broker was told about a delivery. There is no message if the envelope could not be read.
    Settled {
        /// The message.
        message: Option<&'a Message>,
        /// Its queue.
        queue: &'a str,
        /// What the broker was told.
        settlement: Settlement,
    },
}

/// Hears of events. Called in line: it must be quick, must not block and cannot fail; a panic in it is caught.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use taskq::{Event, Observer};
///
/// #[derive(Default)]
/// struct Runs(AtomicU64);
///
/// impl Observer for Runs {
///     fn on(&self, event: &Event<'_>) {
///         if let Event::Started { .. } = event {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// One event, told where it happens: in the `kiq`, or in the worker between two steps of a run.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use taskq::{Event, Observer};
    /// # use taskq::{BrokerExt, InMemoryBroker};
    ///
    /// static SENT: AtomicUsize = AtomicUsize::new(0);
    ///
    /// struct Sent;
    ///
    /// impl Observer for Sent {
    ///     fn on(&self, event: &Event<'_>) {
    ///         if let Event::Published { message, .. } = event {
    ///             SENT.fetch_add(message.body.len(), Ordering::Relaxed); // bytes
    ///         }
    ///     }
    /// }
    ///
    /// let app = InMemoryBroker::new().with_observer(Sent).register::<Add>();
    /// add(2, 3).kiq().on(&app).await?;
    /// assert!(SENT.load(Ordering::Relaxed) > 0);
    /// # Ok(()) }
    /// ```
    fn on(&self, event: &Event<'_>);
}
