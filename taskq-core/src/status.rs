//! Where a task stands.

use crate::{clock::UnixMillis, record::End};
use serde::{Deserialize, Serialize};

/// Where a task stands, as its handle's `status()` tells.
///
/// Without tracking a task is `Pending` until it ended, whether it is queued, running, or was never seen.
///
/// ```
/// use taskq::TaskStatus;
/// fn show(status: TaskStatus) -> String {
///     match status {
///         TaskStatus::Done => "done".into(),
///         TaskStatus::Retrying { attempt, .. } => format!("failed, attempt {attempt} is to come"),
///         status if status.is_final() => format!("gave up: {status:?}"),
///         _ => "on its way".into(),
///     }
/// }
/// assert_eq!(show(TaskStatus::Expired), "gave up: Expired");
/// assert_eq!(show(TaskStatus::Running), "on its way");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskStatus {
    /// No end is recorded, and no step is known.
    Pending,
    /// Handed to the broker. With tracking only.
    Queued,
    /// Running. With tracking only.
    Running,
    /// Failed, and due to run again. With tracking only.
    Retrying {
        /// The run to come, from 2.
        attempt: u32,
        /// When it is due.
        due: UnixMillis,
    },
    /// Returned a value.
    Done,
    /// Gave up.
    Failed,
    /// Gave up without a dead letter, as it asked.
    Discarded,
    /// Cancelled before it ran.
    Cancelled,
    /// Not run in time.
    Expired,
}

impl TaskStatus {
    /// Whether nothing further will happen to the task, short of a replay from the dead letters.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::{TaskStatus, UnixMillis};
    /// let due = UnixMillis::now() + Duration::from_secs(60);
    /// assert!(!TaskStatus::Retrying { attempt: 2, due }.is_final());
    /// assert!(TaskStatus::Discarded.is_final());
    /// ```
    pub fn is_final(self) -> bool {
        use TaskStatus as S;
        matches!(self, S::Done | S::Failed | S::Discarded | S::Cancelled | S::Expired)
    }
}

impl From<&End> for TaskStatus {
    fn from(end: &End) -> Self {
        match end {
            End::Done(_) => TaskStatus::Done,
            End::Failed(_) => TaskStatus::Failed,
            End::Discarded(_) => TaskStatus::Discarded,
            End::Cancelled => TaskStatus::Cancelled,
            End::Expired => TaskStatus::Expired,
        }
    }
}

/// A step of a tracked task on its way to its end.
///
/// ```
/// use taskq::{Step, TaskStatus, UnixMillis};
/// let step = Step::Retrying { attempt: 2, due: UnixMillis::now() }; // as a result backend keeps it
/// assert!(matches!(TaskStatus::from(step), TaskStatus::Retrying { attempt: 2, .. })); // as `status()` tells it
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Handed to the broker.
    Queued,
    /// Running.
    Running,
    /// Failed, and due to run again.
    Retrying {
        /// The run to come, from 2.
        attempt: u32,
        /// When it is due.
        due: UnixMillis,
    },
}

impl From<Step> for TaskStatus {
    fn from(step: Step) -> Self {
        match step {
            Step::Queued => TaskStatus::Queued,
            Step::Running => TaskStatus::Running,
            Step::Retrying { attempt, due } => TaskStatus::Retrying { attempt, due },
        }
    }
}
