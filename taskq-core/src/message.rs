//! The envelope: what travels from `kiq` to a worker. It knows nothing of brokers.

use crate::{
    clock::UnixMillis,
    defaults::{MAX_LABEL_NAME, MAX_LABELS},
    failure::TaskFailure,
    id::TaskId,
    trace::TraceContext,
    wire,
};
use bytes::Bytes;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// How a body is encoded.
///
/// ```
/// use taskq::ContentType;
/// assert_eq!(ContentType::parse("application/json"), Some(ContentType::Json));
/// assert_eq!(ContentType::default().as_str(), "application/msgpack");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ContentType {
    /// `application/msgpack`, the default.
    #[default]
    MessagePack,
    /// `application/json`, for people and other languages.
    Json,
}

impl ContentType {
    /// The MIME type on the wire.
    ///
    /// ```
    /// use taskq::ContentType;
    /// assert_eq!(ContentType::MessagePack.as_str(), "application/msgpack");
    /// assert_eq!(ContentType::Json.as_str(), "application/json");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            ContentType::MessagePack => wire::MESSAGE_PACK,
            ContentType::Json => wire::JSON,
        }
    }

    /// The content type of that name, if it is one we read.
    ///
    /// ```
    /// use taskq::ContentType;
    /// assert_eq!(ContentType::parse("application/json"), Some(ContentType::Json));
    /// assert_eq!(ContentType::parse("text/plain"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            wire::MESSAGE_PACK => Some(ContentType::MessagePack),
            wire::JSON => Some(ContentType::Json),
            _ => None,
        }
    }
}

/// A caller's own notes on a task, readable in middleware, observers and the task itself.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BrokerExt, InMemoryBroker, Labels};
/// # let broker = InMemoryBroker::new();
/// # let app = broker.clone().register::<Add>();
/// let wanted = Labels::from([("tenant".into(), "acme".into()), ("plan".into(), "free".into())]);
/// let kiq = add(i64::MAX, 1).kiq().label("tenant", "acme").label("plan", "free");
/// kiq.on(&app).await?;
/// broker.wait_idle().await;
/// assert_eq!(broker.dead_letters("taskq")[0].labels, wanted);
/// # Ok(()) }
/// ```
pub type Labels = BTreeMap<String, String>;

/// One task on its way: identity, arguments, and all that a worker must know to run it.
///
/// ```
/// use taskq::{ContentType, Message, TaskId};
/// let mut message = Message::new(TaskId::new(), "mail.send", ContentType::Json, b"{}".to_vec().into());
/// message.labels.insert("tenant".into(), "acme".into());
/// assert_eq!((message.attempt, message.round), (1, 0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The identity, the same over all attempts and rounds.
    pub id: TaskId,
    /// The task's name.
    pub task: Cow<'static, str>,
    /// The arguments, encoded as [`Message::content_type`] says.
    pub body: Bytes,
    /// The encoding of the body.
    pub content_type: ContentType,
    /// Number of this run, from 1.
    pub attempt: u32,
    /// Further runs allowed after the first.
    pub retry: u32,
    /// Number of replays from the dead letters.
    pub round: u32,
    /// The caller chose the id: a worker looks for a result under it before it runs the task.
    pub check: bool,
    /// Its publisher sent it again because it heard no confirm: an earlier copy may be running, or may have run.
    pub republished: bool,
    /// Whether the task's steps are written to the result backend.
    pub track: bool,
    /// Priority, for queues that have priorities.
    pub priority: Option<u8>,
    /// When the message was made.
    pub created: UnixMillis,
    /// Not to be run before this instant.
    pub eta: Option<UnixMillis>,
    /// Not to be run after this instant.
    pub expires: Option<UnixMillis>,
    /// When an earlier attempt first failed.
    pub first_failed: Option<UnixMillis>,
    /// How often the message waited because no worker knew its task.
    pub unknown: u32,
    /// The task at the root of the tree of submissions this one belongs to; its own id at the root.
    pub root: TaskId,
    /// W3C trace context of the producer. What is no valid one is left behind where the message is read.
    pub traceparent: Option<TraceContext>,
    /// The caller's own notes.
    pub labels: Labels,
}

impl Message {
    /// A first attempt of `task`, made now, with nothing asked for: no retries, no delay, no expiry, no labels. `body`
    /// is what [`Message::content_type`] says; neither it nor the name is checked here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use bytes::Bytes;
    /// # use taskq::{Broker, ContentType, InMemoryBroker, Message, Publish, QueueSpec, TaskId};
    /// # let broker = InMemoryBroker::new();
    /// # broker.declare(&QueueSpec::new("mail")).await?;
    /// let body = Bytes::from_static(br#"{"to":"ada@example.org"}"#);
    /// let message = Message::new(TaskId::new(), "mail.send", ContentType::Json, body);
    /// assert_eq!((message.attempt, message.retry, message.eta), (1, 0, None));
    /// broker.publish(Publish::new("mail", message)).await?; // for a task known by its name only
    /// # assert_eq!(broker.inspect("mail").await?.ready, 1);
    /// # Ok(()) }
    /// ```
    pub fn new(id: TaskId, task: impl Into<Cow<'static, str>>, content_type: ContentType, body: Bytes) -> Self {
        Message::made_at(UnixMillis::now(), id, task, content_type, body)
    }

    /// The same, made at another instant: for a broker that reads a message which somebody else has made.
    ///
    /// ```
    /// use taskq::{ContentType, Message, TaskId, UnixMillis};
    /// let made = UnixMillis(1_790_000_000_000); // from a property of the server's message
    /// let message = Message::made_at(made, TaskId::from("order-17"), "mail.send", ContentType::Json, "{}".into());
    /// assert_eq!(message.created, made);
    /// ```
    pub fn made_at(
        made: UnixMillis,
        id: TaskId,
        task: impl Into<Cow<'static, str>>,
        content_type: ContentType,
        body: Bytes,
    ) -> Self {
        Message {
            root: id.clone(),
            id,
            task: task.into(),
            body,
            content_type,
            attempt: 1,
            retry: 0,
            round: 0,
            check: false,
            republished: false,
            track: false,
            priority: None,
            created: made,
            eta: None,
            expires: None,
            first_failed: None,
            unknown: 0,
            traceparent: None,
            labels: Labels::new(),
        }
    }
}

/// Whether these labels can travel: names of 1 to 255 bytes that do not start with `taskq-` or `x-`, 32 KiB in all.
///
/// # Errors
/// What is wrong, with the label's name.
pub(crate) fn check_labels(labels: &Labels) -> Result<(), String> {
    let reserved =
        |name: &str| name.starts_with(wire::PREFIX) || name.starts_with("x-") || name == wire::HEADER_TRACEPARENT;
    for (name, value) in labels {
        if name.is_empty() || name.len() > MAX_LABEL_NAME {
            return Err(format!("a label's name has {} bytes; 1 to {MAX_LABEL_NAME} are allowed", name.len()));
        }
        if reserved(name) {
            return Err(format!(
                "label `{name}`: names that start with `taskq-` or `x-`, and `traceparent`, are reserved"
            ));
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(format!("label {name:?} contains a NUL byte"));
        }
    }
    match labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() {
        size if size > MAX_LABELS => Err(format!("all labels together have {size} bytes; the limit is {MAX_LABELS}")),
        _ => Ok(()),
    }
}

/// A message that came without a readable envelope: somebody else's, or a damaged one.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use bytes::Bytes;
/// use taskq::{Broker, FailureKind, Foreign, Publish};
/// # use taskq::{BrokerExt, InMemoryBroker};
/// # let broker = InMemoryBroker::new();
/// # let app = broker.clone().register::<Add>();
/// # app.startup().await?;
///
/// let foreign = Foreign {
///     reason: "there is no header `taskq-v`".into(),
///     id: None,
///     content_type: Some("text/plain".into()),
///     headers: [("from".into(), "elsewhere".into())].into(),
///     body: Bytes::from_static(b"hello"),
/// };
/// broker.publish(Publish::new("taskq", foreign)).await?;
/// broker.wait_idle().await;
/// let letter = &broker.dead_letters("taskq")[0];
/// assert_eq!((letter.kind, &*letter.body), (FailureKind::Undecodable, &b"hello"[..]));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Why it cannot be read.
    pub reason: String,
    /// Its id, if one can be read.
    pub id: Option<TaskId>,
    /// Its content type, as it came.
    pub content_type: Option<String>,
    /// Its headers, as text.
    pub headers: BTreeMap<String, String>,
    /// Its body, untouched.
    pub body: Bytes,
}

/// What a delivery or a publish carries. Cheap to clone.
///
/// ```
/// # use taskq::{Content, Delivery};
/// # fn example(delivery: Delivery) {
/// match &delivery.content {
///     Content::Task(message) => println!("task {} ({})", message.task, message.id),
///     Content::Foreign(foreign) => println!("not ours: {}", foreign.reason),
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A task.
    Task(Arc<Message>),
    /// A message that nobody could read; it goes to the dead letters as it came.
    Foreign(Arc<Foreign>),
}

impl From<Message> for Content {
    fn from(message: Message) -> Self {
        Content::Task(Arc::new(message))
    }
}

impl From<Foreign> for Content {
    fn from(foreign: Foreign) -> Self {
        Content::Foreign(Arc::new(foreign))
    }
}

impl Content {
    /// The task's id, if one can be read.
    ///
    /// ```
    /// use taskq::{Content, ContentType, Message, TaskId};
    /// let message = Message::new(TaskId::from("order-17"), "mail.send", ContentType::Json, b"{}".to_vec().into());
    /// assert_eq!(Content::from(message).id(), Some(&TaskId::from("order-17")));
    /// ```
    pub fn id(&self) -> Option<&TaskId> {
        match self {
            Content::Task(message) => Some(&message.id),
            Content::Foreign(foreign) => foreign.id.as_ref(),
        }
    }

    /// The body's bytes, encoded as they travel.
    ///
    /// ```
    /// use taskq::{Content, ContentType, Message, TaskId};
    /// let message = Message::new(TaskId::new(), "mail.send", ContentType::Json, b"{}".to_vec().into());
    /// assert_eq!(&**Content::from(message).body(), b"{}");
    /// ```
    pub fn body(&self) -> &Bytes {
        match self {
            Content::Task(message) => &message.body,
            Content::Foreign(foreign) => &foreign.body,
        }
    }
}

/// Why a message lies among the dead letters. Travels in the letter's headers.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{Broker, BrokerExt, InMemoryBroker, QueueSpec};
/// # use std::num::NonZeroU16;
/// # let broker = InMemoryBroker::new();
/// # let app = broker.clone().register::<Add>();
/// add(i64::MAX, 1).kiq().on(&app).await?;
/// broker.wait_idle().await;
///
/// let dead = QueueSpec::new("taskq").dead_letters();
/// let letter = broker.consume(&dead, NonZeroU16::MIN).await?.next().await.unwrap();
/// let epitaph = letter.epitaph.as_ref().unwrap();
/// assert_eq!((epitaph.queue.as_str(), epitaph.failure.message.as_str()), ("taskq", "the sum is too large"));
/// letter.requeue();
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epitaph {
    /// What went wrong, after how many attempts.
    pub failure: TaskFailure,
    /// The queue that the letter comes from.
    pub queue: String,
    /// When the task first failed.
    pub first_failed: UnixMillis,
    /// When the task last failed.
    pub last_failed: UnixMillis,
}
