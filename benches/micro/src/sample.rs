//! Tasks and messages as applications have them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use taskq_core::{
    __bench, BoxError, ContentType, Message, Run, Task, TaskConfig, TaskContext, TaskDef, TaskId, TraceContext,
    UnixMillis,
};

/// Both, by the name that they are reported under.
pub(crate) const CONTENT_TYPES: [(&str, ContentType); 2] =
    [("msgpack", ContentType::MessagePack), ("json", ContentType::Json)];

/// Two numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AddArgs {
    pub(crate) a: i64,
    pub(crate) b: i64,
}

/// What a web application hands over: texts, a list, and an option.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MailArgs {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) cc: Vec<String>,
    pub(crate) reply_to: Option<String>,
    pub(crate) tenant: u64,
    pub(crate) urgent: bool,
}

pub(crate) fn add_args() -> AddArgs {
    AddArgs { a: 2, b: 40 }
}

pub(crate) fn mail_args() -> MailArgs {
    MailArgs {
        to: "ada@example.org".into(),
        subject: "Your invoice of September".into(),
        body: "Dear Ada, please find \"attached\" what we agreed on.\n".repeat(16),
        cc: vec!["charles@example.org".into(), "mary@example.org".into()],
        reply_to: None,
        tenant: 4711,
        urgent: false,
    }
}

struct Add;

impl Task for Add {
    type Args = AddArgs;
    type Output = i64;
    type Returns = i64;
    const NAME: &'static str = "my_app::tasks::add";
    const CONFIG: TaskConfig = TaskConfig::new().retry(3);
}

impl Run for Add {
    async fn run(_: TaskContext, args: AddArgs) -> Result<i64, BoxError> {
        Ok(args.a + args.b)
    }
}

pub(crate) const ADD: TaskDef = TaskDef::of::<Add>(file!(), line!());

/// A first attempt of [`ADD`], without anything that its caller would have to ask for.
pub(crate) fn message() -> Message {
    Message::new(TaskId::new(), ADD.name, ContentType::MessagePack, body())
}

/// A second attempt with all that a message can carry.
pub(crate) fn laden_message() -> Message {
    let mut message = message();
    (message.attempt, message.retry, message.priority, message.track) = (2, 3, Some(5), true);
    message.eta = Some(UnixMillis(1_789_905_600_000));
    message.expires = Some(UnixMillis(1_789_909_200_000));
    message.first_failed = Some(UnixMillis(1_789_905_500_000));
    message.traceparent = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    for (name, value) in [("tenant", "acme"), ("region", "eu-central-1"), ("request", "7f3c9a"), ("user", "4711")] {
        message.labels.insert(name.into(), value.into());
    }
    message
}

fn body() -> Bytes {
    __bench::encode(ContentType::MessagePack, &add_args()).unwrap_or_default()
}
