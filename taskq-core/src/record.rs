//! How a task ended, as it is kept: a versioned MessagePack map.

use crate::{
    clock::UnixMillis,
    error::BoxError,
    failure::{FailureKind, TaskFailure},
    message::ContentType,
    wire,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

/// The end of a task.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BrokerExt, End, InMemoryBroker};
/// # let app = InMemoryBroker::new().register::<Add>();
/// # let handle = add(2, 3).kiq().on(&app).await?;
/// let result = handle.wait_result().await?;
/// match &result.record().end {
///     End::Done(value) => println!("{} bytes", value.len()),
///     End::Failed(failure) | End::Discarded(failure) => println!("{failure}"),
///     End::Cancelled | End::Expired => println!("it did not run"),
/// }
/// # assert!(matches!(&result.record().end, End::Done(value) if !value.is_empty()));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It returned this value, encoded.
    Done(Bytes),
    /// It gave up; a dead letter keeps the message.
    Failed(TaskFailure),
    /// It gave up without a dead letter, as it asked.
    Discarded(TaskFailure),
    /// It was cancelled before it ran.
    Cancelled,
    /// It was not run in time.
    Expired,
}

/// What is kept of a task that ended.
///
/// ```
/// use taskq::{End, ResultRecord};
/// let record = ResultRecord::new(End::Expired, "mail.send");
/// assert_eq!(ResultRecord::decode(&record.encode()).unwrap(), record);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultRecord {
    /// How it ended.
    pub end: End,
    /// The encoding of a value.
    pub content_type: ContentType,
    /// The round that it ended in.
    pub round: u32,
    /// The task's name; empty if it could not be read.
    pub task: Cow<'static, str>,
    /// How many runs there were.
    pub attempts: u32,
    /// When the last run began; the same as [`ResultRecord::finished`] for a task that did not run.
    pub started: UnixMillis,
    /// When it ended.
    pub finished: UnixMillis,
    /// Host and process of the worker.
    pub worker: Arc<str>,
}

impl ResultRecord {
    /// A record of a task that ended now, in the first round, without having run.
    ///
    /// ```
    /// use taskq::{End, FailureKind, ResultRecord, TaskFailure};
    /// let failure = TaskFailure::new(FailureKind::Timeout, "too slow", 3);
    /// let mut record = ResultRecord::new(End::Failed(failure), "mail.send");
    /// record.attempts = 3;
    /// assert_eq!((record.round, record.started), (0, record.finished));
    /// ```
    pub fn new(end: End, task: impl Into<Cow<'static, str>>) -> Self {
        let now = UnixMillis::now();
        ResultRecord { task: task.into(), ..ResultRecord::by("".into(), end, now, now) }
    }

    /// A record of what `worker` did, without the task's name yet.
    pub(crate) fn by(worker: Arc<str>, end: End, started: UnixMillis, finished: UnixMillis) -> Self {
        ResultRecord {
            end,
            content_type: ContentType::MessagePack,
            round: 0,
            task: Cow::Borrowed(""),
            attempts: 0,
            started,
            finished,
            worker,
        }
    }

    /// The failure, for every end but [`End::Done`].
    ///
    /// ```
    /// use taskq::{End, FailureKind, ResultRecord};
    /// let expired = ResultRecord::new(End::Expired, "mail.send");
    /// assert_eq!(expired.failure().map(|failure| failure.kind), Some(FailureKind::Expired));
    /// let done = ResultRecord::new(End::Done(b"5".to_vec().into()), "add");
    /// assert_eq!(done.failure(), None);
    /// ```
    pub fn failure(&self) -> Option<TaskFailure> {
        match &self.end {
            End::Done(_) => None,
            End::Failed(failure) | End::Discarded(failure) => Some(failure.clone()),
            End::Cancelled => {
                Some(TaskFailure::new(FailureKind::Cancelled, "the task was cancelled before it ran", self.attempts))
            }
            End::Expired => Some(TaskFailure::new(FailureKind::Expired, "the task was not run in time", self.attempts)),
        }
    }

    /// The record as bytes, in the present version: a MessagePack map.
    ///
    /// ```
    /// use taskq::{End, ResultRecord};
    /// let mut record = ResultRecord::new(End::Cancelled, "mail.send");
    /// record.worker = "mail-1/4711".into();
    /// let bytes = record.encode(); // for a result backend to keep
    /// assert_eq!(ResultRecord::decode(&bytes).unwrap(), record);
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let (state, value, failure) = match &self.end {
            End::Done(value) => (State::Done, Some(&**value), None),
            End::Failed(failure) => (State::Failed, None, Some(failure)),
            End::Discarded(failure) => (State::Discarded, None, Some(failure)),
            End::Cancelled => (State::Cancelled, None, None),
            End::Expired => (State::Expired, None, None),
        };
        let stored = Stored {
            v: wire::VERSION,
            state,
            value: value.map(Cow::Borrowed),
            failure: failure.map(Cow::Borrowed),
            encoding: self.content_type.as_str().into(),
            round: self.round,
            task: (&*self.task).into(),
            attempts: self.attempts,
            started: self.started,
            finished: self.finished,
            worker: (&*self.worker).into(),
        };
        let mut bytes =
            Vec::with_capacity(ENVELOPE + value.map_or(0, <[u8]>::len) + self.task.len() + self.worker.len());
        // Plain data of our own: there is no value that MessagePack refuses.
        let _ = stored.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map());
        bytes
    }

    /// The record that these bytes hold, of this or an older version.
    ///
    /// ```
    /// use taskq::{End, ResultRecord};
    /// let bytes = ResultRecord::new(End::Expired, "mail.send").encode();
    /// assert_eq!(ResultRecord::decode(&bytes).unwrap().end, End::Expired);
    /// assert!(ResultRecord::decode(&bytes[1..]).is_err());
    /// ```
    ///
    /// # Errors
    /// They are not a record, or were written by a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
        let stored: Stored = rmp_serde::from_slice(bytes)?;
        if stored.v > wire::VERSION {
            return Err(
                format!("the record has version {}; this release reads up to {}", stored.v, wire::VERSION).into()
            );
        }
        let failure = stored.failure.map(Cow::into_owned).ok_or("the record of a failure lacks it");
        let end = match stored.state {
            State::Done => End::Done(stored.value.map(Cow::into_owned).ok_or("the record lacks its value")?.into()),
            State::Failed => End::Failed(failure?),
            State::Discarded => End::Discarded(failure?),
            State::Cancelled => End::Cancelled,
            State::Expired => End::Expired,
        };
        let content_type = ContentType::parse(&stored.encoding)
            .ok_or_else(|| format!("the value is encoded as `{}`", stored.encoding))?;
        Ok(ResultRecord {
            end,
            content_type,
            round: stored.round,
            task: stored.task.into_owned().into(),
            attempts: stored.attempts,
            started: stored.started,
            finished: stored.finished,
            worker: (&*stored.worker).into(),
        })
    }
}

/// What the names and numbers of a record take, about.
const ENVELOPE: usize = 160;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Done,
    Failed,
    Discarded,
    Cancelled,
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    v: u32,
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes", borrow)]
    value: Option<Cow<'a, [u8]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Cow<'a, TaskFailure>>,
    #[serde(borrow)]
    encoding: Cow<'a, str>,
    round: u32,
    #[serde(borrow)]
    task: Cow<'a, str>,
    attempts: u32,
    started: UnixMillis,
    finished: UnixMillis,
    #[serde(borrow)]
    worker: Cow<'a, str>,
}
