//! The identity of a task.

use crate::defaults::MAX_TASK_ID;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Names one submission of a task, from `kiq` to its result.
///
/// taskq makes a UUIDv7 as 32 hexadecimal digits, which sorts by time; a caller may choose an id of their own with
/// `.task_id(..)`: 1 to 128 bytes, no control characters, no `{` or `}` (Redis Cluster gives those a meaning).
///
/// ```
/// use taskq::TaskId;
/// assert_eq!(TaskId::new().as_str().len(), 32);
/// assert!(TaskId::from("order-17").check().is_ok());
/// assert!(TaskId::from("a{b").check().is_err());
/// ```
///
/// The id in a [`KiqError::Unknown`](crate::KiqError::Unknown) also knows that a message of it may be on its way, so that
/// a second submission with it does not run beside the first.
#[derive(Clone)]
pub struct TaskId(Text);

/// Two words in either case: tens of thousands of messages may have two ids each.
#[derive(Clone)]
enum Text {
    Plain(Arc<str>),
    /// A message of it may be on its way, which is no part of the identity.
    MaybeSent(Arc<String>),
}

impl TaskId {
    /// A new id that no other call of this function has given or will give.
    ///
    /// ```
    /// use taskq::TaskId;
    /// let (first, second) = (TaskId::new(), TaskId::new());
    /// assert_ne!(first, second);
    /// assert!(first < second); // an id sorts by when it was made
    /// ```
    pub fn new() -> Self {
        let mut text = [0; 32];
        TaskId::from(&*uuid::Uuid::now_v7().simple().encode_lower(&mut text))
    }

    /// The id as text.
    ///
    /// ```
    /// use taskq::TaskId;
    /// let id = TaskId::from("order-17");
    /// assert_eq!(id.as_str().strip_prefix("order-"), Some("17"));
    /// ```
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Plain(text) => text,
            Text::MaybeSent(text) => text,
        }
    }

    /// The same id, of which a message may be on its way.
    pub(crate) fn maybe_sent(self) -> Self {
        TaskId(Text::MaybeSent(Arc::new(self.as_str().to_owned())))
    }

    pub(crate) fn is_maybe_sent(&self) -> bool {
        matches!(self.0, Text::MaybeSent(_))
    }

    /// Whether the id may be used: 1 to 128 bytes, no control characters, no braces. `kiq` asks this of an id that its
    /// caller chose.
    ///
    /// ```
    /// use taskq::TaskId;
    /// assert_eq!(TaskId::from("order-17").check(), Ok(()));
    /// assert_eq!(TaskId::from("").check(), Err("is empty".to_owned()));
    /// assert!(TaskId::from("{order}-17").check().unwrap_err().contains("braces"));
    /// ```
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let text = self.as_str();
        if text.is_empty() {
            return Err("is empty".into());
        }
        if text.len() > MAX_TASK_ID {
            return Err(format!("has {} bytes; the limit is {MAX_TASK_ID}", text.len()));
        }
        // All of them, without a way out at each: so it is done for sixteen at once.
        let is_plain = |byte: u8| byte.is_ascii_graphic() & (byte != b'{') & (byte != b'}');
        if text.bytes().fold(true, |are_plain, byte| are_plain & is_plain(byte)) {
            return Ok(());
        }
        match text.chars().find(|c| c.is_control() || matches!(c, '{' | '}')) {
            Some(c) => Err(format!("contains {c:?}; control characters and braces are not allowed")),
            None => Ok(()),
        }
    }
}

impl Default for TaskId {
    /// The same as [`TaskId::new`].
    fn default() -> Self {
        TaskId::new()
    }
}

impl PartialEq for TaskId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TaskId {}

impl PartialOrd for TaskId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TaskId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for TaskId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_str().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(TaskId::from)
    }
}

impl From<&str> for TaskId {
    fn from(text: &str) -> Self {
        TaskId(Text::Plain(text.into()))
    }
}

impl From<String> for TaskId {
    fn from(text: String) -> Self {
        TaskId(Text::Plain(text.into()))
    }
}

impl From<&String> for TaskId {
    fn from(text: &String) -> Self {
        TaskId::from(text.as_str())
    }
}

impl From<&TaskId> for TaskId {
    fn from(id: &TaskId) -> Self {
        id.clone()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
