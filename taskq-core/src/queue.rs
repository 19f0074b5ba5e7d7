//! What a queue is, as a user declares it.

use crate::defaults::MAX_QUEUE_NAME;

/// How a queue keeps its messages.
///
/// ```
/// use taskq::{QueueKind, QueueSpec};
/// let replicated = |queue: &QueueSpec| match queue.kind() {
///     QueueKind::Quorum => Some(true),
///     QueueKind::Classic => Some(false),
///     _ => None, // somebody else's
/// };
/// assert_eq!(replicated(&QueueSpec::new("mail")), Some(true));
/// assert_eq!(replicated(&QueueSpec::new("mail").priorities(10)), Some(false));
/// assert_eq!(replicated(&QueueSpec::new("theirs").existing()), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueKind {
    /// Replicated by Raft and written to disk on a majority of nodes before a publish is confirmed. The default.
    Quorum,
    /// On one node; needed for priorities.
    Classic,
    /// Declared by somebody else: checked to exist, and used as it is.
    Existing,
}

impl QueueKind {
    fn or_classic(self) -> Self {
        if self == QueueKind::Existing { self } else { QueueKind::Classic }
    }
}

/// A queue: its name and what it must be able to do.
///
/// ```
/// use taskq::QueueSpec;
/// let mail = QueueSpec::new("mail").priorities(10);
/// assert_eq!(mail.name(), "mail");
/// assert_eq!(mail.dead_letter_name(), "mail.dead");
/// assert!(QueueSpec::new("mail.#").check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    name: String,
    kind: QueueKind,
    priorities: Option<u8>,
}

/// What a dead-letter queue's name ends with.
const DEAD_SUFFIX: &str = ".dead";

impl QueueSpec {
    /// A durable quorum queue without priorities. The name is checked at start: see [`QueueSpec::check`].
    ///
    /// ```
    /// use taskq::{QueueKind, QueueSpec};
    /// let mail = QueueSpec::new("mail");
    /// assert_eq!((mail.kind(), mail.highest_priority()), (QueueKind::Quorum, None));
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        QueueSpec { name: name.into(), kind: QueueKind::Quorum, priorities: None }
    }

    /// Keeps the queue on one node: less latency, no replication.
    ///
    /// ```
    /// use taskq::{QueueKind, QueueSpec};
    /// assert_eq!(QueueSpec::new("thumbnails").classic().kind(), QueueKind::Classic);
    /// ```
    pub fn classic(mut self) -> Self {
        self.kind = self.kind.or_classic();
        self
    }

    /// Serves higher priorities first, from 0 (the default) to `highest`. Makes the queue a classic one. Without it, a
    /// `kiq` with a priority is refused.
    ///
    /// ```
    /// use taskq::{QueueKind, QueueSpec};
    /// let mail = QueueSpec::new("mail").priorities(10);
    /// assert_eq!((mail.kind(), mail.highest_priority()), (QueueKind::Classic, Some(10)));
    /// ```
    pub fn priorities(mut self, highest: u8) -> Self {
        self.kind = self.kind.or_classic();
        self.priorities = Some(highest);
        self
    }

    /// Somebody else declares this queue: taskq checks that it exists and uses it as it is. `priorities`,
    /// before or after it, tells what that queue can do.
    ///
    /// ```
    /// use taskq::{QueueKind, QueueSpec};
    /// let theirs = QueueSpec::new("theirs").priorities(5).existing();
    /// assert_eq!((theirs.kind(), theirs.highest_priority()), (QueueKind::Existing, Some(5)));
    /// ```
    pub fn existing(mut self) -> Self {
        self.kind = QueueKind::Existing;
        self
    }

    /// The queue's name.
    ///
    /// ```
    /// use taskq::{BrokerExt, InMemoryBroker, QueueSpec};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail"));
    /// app.startup().await?;
    /// let names: Vec<&str> = app.queues().iter().map(QueueSpec::name).collect();
    /// assert_eq!(names, ["mail"]);
    /// # Ok(()) }
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the queue keeps its messages.
    ///
    /// ```
    /// use taskq::{QueueKind, QueueSpec};
    /// assert_eq!(QueueSpec::new("mail").kind(), QueueKind::Quorum);
    /// assert_eq!(QueueSpec::new("mail").classic().kind(), QueueKind::Classic);
    /// ```
    pub fn kind(&self) -> QueueKind {
        self.kind
    }

    /// The highest priority, if the queue has priorities.
    ///
    /// ```
    /// use taskq::QueueSpec;
    /// assert_eq!(QueueSpec::new("mail").priorities(10).highest_priority(), Some(10));
    /// assert_eq!(QueueSpec::new("mail").highest_priority(), None);
    /// ```
    pub fn highest_priority(&self) -> Option<u8> {
        self.priorities
    }

    /// The name of the queue that keeps this queue's dead letters: its own, with `.dead` behind it.
    ///
    /// ```
    /// use taskq::QueueSpec;
    /// assert_eq!(QueueSpec::new("mail").dead_letter_name(), "mail.dead");
    /// ```
    pub fn dead_letter_name(&self) -> String {
        format!("{}{DEAD_SUFFIX}", self.name)
    }

    /// The queue that keeps this queue's dead letters: a quorum queue, whatever kind this one is.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{Broker, BrokerExt, InMemoryBroker, QueueSpec};
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<Add>();
    /// add(i64::MAX, 1).kiq().on(&app).await?;
    /// broker.wait_idle().await;
    /// let dead = QueueSpec::new("taskq").dead_letters();
    /// assert_eq!(broker.inspect(dead.name()).await?.ready, 1);
    /// # Ok(()) }
    /// ```
    pub fn dead_letters(&self) -> QueueSpec {
        QueueSpec::new(self.dead_letter_name())
    }

    /// Whether this is a queue of dead letters, by its name.
    ///
    /// ```
    /// use taskq::QueueSpec;
    /// let mail = QueueSpec::new("mail");
    /// assert!(mail.dead_letters().is_dead_letters() && !mail.is_dead_letters());
    /// ```
    pub fn is_dead_letters(&self) -> bool {
        self.name.ends_with(DEAD_SUFFIX)
    }

    /// Whether a user may give a queue this name: 1 to 199 bytes; no control characters, `*` or `#`; no empty word
    /// between dots; not starting with `taskq.v` or `amq.`, not ending with `.dead`.
    ///
    /// ```
    /// use taskq::QueueSpec;
    /// assert_eq!(QueueSpec::new("mail.outgoing").check(), Ok(()));
    /// assert!(QueueSpec::new("mail.dead").check().unwrap_err().contains("kept for dead letters"));
    /// assert!(QueueSpec::new("mail..outgoing").check().unwrap_err().contains("empty word"));
    /// ```
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        check_name(&self.name)
    }
}

/// See [`QueueSpec::check`].
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_QUEUE_NAME {
        return Err(format!("has {} bytes; 1 to {MAX_QUEUE_NAME} are allowed", name.len()));
    }
    // What nearly all names are made of, and what nothing below is about.
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Ok(());
    }
    if let Some(c) = name.chars().find(|c| c.is_control() || matches!(c, '*' | '#')) {
        return Err(format!("contains {c:?}; control characters, `*` and `#` are not allowed"));
    }
    if name.split('.').any(str::is_empty) {
        return Err("has an empty word before, between or after its dots".into());
    }
    if name.starts_with("taskq.v") || name.starts_with("amq.") {
        return Err("starts with `taskq.v` or `amq.`, which are reserved".into());
    }
    if name.ends_with(DEAD_SUFFIX) {
        return Err("ends with `.dead`, which is kept for dead letters".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_somebody_else_stays_one_whatever_is_said_after() {
        let first = QueueSpec::new("q").existing();
        assert_eq!(first.clone().priorities(5), QueueSpec::new("q").priorities(5).existing());
        assert_eq!(first.clone().classic(), first);
    }

    #[test]
    fn names_that_rabbitmq_or_taskq_would_trip_over_are_refused() {
        let long = "x".repeat(200);
        for bad in ["", ".a", "a.", "a..b", "a*", "a.#", "taskq.v1.x", "amq.gen", "mail.dead", "a\nb", long.as_str()] {
            assert!(QueueSpec::new(bad).check().is_err(), "{bad:?}");
        }
        let longest = "x".repeat(199);
        for good in ["taskq", "a.b", "b", "ünïcode", "with space", longest.as_str()] {
            assert_eq!(QueueSpec::new(good).check(), Ok(()), "{good:?}");
        }
    }
}
