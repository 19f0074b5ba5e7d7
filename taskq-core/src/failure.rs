//! How a task failed, in a form that travels: in results and in dead letters.

use crate::defaults::{MAX_ERROR_CHAIN, MAX_ERROR_TEXT};
use serde::{Deserialize, Serialize};
use std::{error::Error, fmt};

/// What kind of end a failed task came to.
///
/// ```
/// use taskq::{FailureKind, TaskFailure};
///
/// /// What an operator should look at.
/// fn advice(failure: &TaskFailure) -> &'static str {
///     match failure.kind {
///         FailureKind::Timeout => "raise the task's `timeout`, or make it faster",
///         FailureKind::Undecodable | FailureKind::UnknownTask => "producers and workers are of different releases",
///         FailureKind::Error | FailureKind::Panic => "the task's own code",
///         _ => "the failure's text",
///     }
/// }
/// assert_eq!(advice(&TaskFailure::new(FailureKind::Panic, "division by zero", 3)), "the task's own code");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The task returned an error, and its retries are used up.
    Error,
    /// The task returned an error that no retry can help: `TaskError::permanent`, or `retry_on` said no.
    Permanent,
    /// A run took longer than the task's `timeout`.
    Timeout,
    /// The task panicked.
    Panic,
    /// The envelope or the arguments could not be read.
    Undecodable,
    /// No worker knew the task's name.
    UnknownTask,
    /// The value could not be encoded, or is larger than a result may be.
    Result,
    /// The task was given up on as it asked: `TaskError::discard`.
    Discarded,
    /// The task was cancelled before it ran.
    Cancelled,
    /// The task was not run in time.
    Expired,
    /// The worker's process ended, again and again, while it ran the task.
    WorkerLost,
    /// A kind that a newer version wrote.
    #[serde(other)]
    Unknown,
}

impl FailureKind {
    /// The name that travels, such as `unknown_task`.
    ///
    /// ```
    /// use taskq::FailureKind;
    /// let label = ("kind", FailureKind::UnknownTask.as_str()); // of a metric
    /// assert_eq!(label, ("kind", "unknown_task"));
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Error => "error",
            FailureKind::Permanent => "permanent",
            FailureKind::Timeout => "timeout",
            FailureKind::Panic => "panic",
            FailureKind::Undecodable => "undecodable",
            FailureKind::UnknownTask => "unknown_task",
            FailureKind::Result => "result",
            FailureKind::Discarded => "discarded",
            FailureKind::Cancelled => "cancelled",
            FailureKind::Expired => "expired",
            FailureKind::WorkerLost => "worker_lost",
            FailureKind::Unknown => "unknown",
        }
    }

    /// The kind of that name; [`FailureKind::Unknown`] if there is none.
    ///
    /// ```
    /// use taskq::FailureKind;
    /// assert_eq!(FailureKind::parse("timeout"), FailureKind::Timeout);
    /// assert_eq!(FailureKind::parse("of_a_newer_release"), FailureKind::Unknown);
    /// ```
    pub fn parse(name: &str) -> Self {
        use FailureKind as K;
        let all = [
            K::Error,
            K::Permanent,
            K::Timeout,
            K::Panic,
            K::Undecodable,
            K::UnknownTask,
            K::Result,
            K::Discarded,
            K::Cancelled,
            K::Expired,
            K::WorkerLost,
        ];
        all.into_iter().find(|kind| kind.as_str() == name).unwrap_or(K::Unknown)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed task: what went wrong, why, and after how many runs.
///
/// This is what [`TaskResult::into_value`](crate::TaskResult::into_value) gives for a task that did not succeed. It
/// carries text, not the error itself, which may live in another process.
///
/// ```
/// use taskq::{FailureKind, TaskFailure};
/// let failure = TaskFailure::new(FailureKind::Error, "smtp is down", 4);
/// assert_eq!(failure.to_string(), "task failed after 4 attempts (error): smtp is down");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskFailure {
    /// What kind of end it was.
    pub kind: FailureKind,
    /// The error of the last run, at most 4 KiB.
    pub message: String,
    /// The error's sources, outermost first, at most eight.
    #[serde(default)]
    pub chain: Vec<String>,
    /// How many runs there were.
    #[serde(default)]
    pub attempts: u32,
}

impl TaskFailure {
    /// A failure without sources. A text of more than 4 KiB is cut.
    ///
    /// ```
    /// use taskq::{FailureKind, TaskFailure};
    /// let failure = TaskFailure::new(FailureKind::Expired, "the task was not run in time", 0);
    /// assert_eq!(failure.to_string(), "task failed without a run (expired): the task was not run in time");
    /// ```
    pub fn new(kind: FailureKind, message: impl Into<String>, attempts: u32) -> Self {
        TaskFailure { kind, message: shortened(message.into()), chain: Vec::new(), attempts }
    }

    /// A failure with an error's text and those of its sources: at most eight of them, each text at most 4 KiB.
    ///
    /// ```
    /// use taskq::{BoxError, BrokerError, FailureKind, TaskFailure};
    /// let refused: BoxError = "connection refused".into();
    /// let error = BrokerError::Unreachable { address: "mq:5672".into(), source: Some(refused) };
    /// let failure = TaskFailure::from_error(FailureKind::Error, &error, 4);
    /// assert!(failure.message.starts_with("cannot reach the broker at mq:5672"));
    /// assert_eq!(failure.chain, ["connection refused"]);
    /// ```
    pub fn from_error(kind: FailureKind, error: &(dyn Error + 'static), attempts: u32) -> Self {
        let message = shortened(error.to_string());
        let mut chain: Vec<String> = Vec::new();
        let mut next = error.source();
        while let Some(source) = next
            && chain.len() < MAX_ERROR_CHAIN
        {
            let text = shortened(source.to_string());
            // Wrappers that show their source's text add nothing for a reader.
            if chain.last().unwrap_or(&message) != &text {
                chain.push(text);
            }
            next = source.source();
        }
        TaskFailure { kind, message, chain, attempts }
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_ERROR_TEXT {
        let end = (0..=MAX_ERROR_TEXT - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = match self.attempts {
            0 => "without a run".to_owned(),
            1 => "after 1 attempt".to_owned(),
            n => format!("after {n} attempts"),
        };
        write!(f, "task failed {runs} ({}): {}", self.kind, self.message)?;
        self.chain.iter().try_for_each(|source| write!(f, ": {source}"))
    }
}

impl Error for TaskFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_name_that_serde_and_headers_share() {
        for name in [
            "error",
            "permanent",
            "timeout",
            "panic",
            "undecodable",
            "unknown_task",
            "result",
            "discarded",
            "cancelled",
            "expired",
        ] {
            let kind = FailureKind::parse(name);
            assert_eq!(kind.as_str(), name);
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
        assert_eq!(serde_json::from_str::<FailureKind>("\"of_the_future\"").unwrap(), FailureKind::Unknown);
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let failure = TaskFailure::new(FailureKind::Error, "é".repeat(MAX_ERROR_TEXT), 1);
        assert!(failure.message.len() <= MAX_ERROR_TEXT);
        assert!(failure.message.ends_with("é…"));
    }
}
