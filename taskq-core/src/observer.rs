//! Events for metrics, notifications and dashboards.

use crate::{
    delivery::Settlement,
    message::Message,
    outcome::{Outcome, Verdict},
};
use std::time::Duration;

/// Something that happened. More kinds may be added.
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
    /// A run ended, and it was decided what follows.
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
/// use taskq_core::{Event, Observer};
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
    /// One event.
    fn on(&self, event: &Event<'_>);
}
