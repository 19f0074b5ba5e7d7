//! Results that the store does not take: kept in the task's own queue until it does.
//!
//! Each is the message of a built-in task, whose run is to store it. So it is published with a confirm, and put off and
//! tried again, like any other; and whoever works on the queue has the result backend that it is meant for.

use crate::{
    Backoff, codec,
    context::TaskContext,
    error::{BoxError, ResultError},
    id::TaskId,
    message::{ContentType, Message},
    record::ResultRecord,
    task::{Run, Task, TaskConfig, TaskDef},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

/// How long a result rests before it is first tried again.
pub(crate) const REST: Duration = Duration::from_secs(5);

/// Between further tries, at most.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Stores what could not be stored before.
struct KeepResult;

#[derive(Serialize, Deserialize)]
struct Spilled {
    id: TaskId,
    /// In milliseconds, from when it is stored.
    ttl: u64,
    #[serde(with = "serde_bytes")]
    record: Vec<u8>,
}

impl Task for KeepResult {
    type Args = Spilled;
    type Output = ();
    type Returns = ();
    const NAME: &'static str = "taskq.v1.keep_result";
    const CONFIG: TaskConfig = TaskConfig::new()
        .retry(u32::MAX)
        .backoff(Backoff::exp(REST).max(LONGEST_REST))
        .timeout(Duration::from_secs(30))
        .store_result(false);
}

impl Run for KeepResult {
    async fn run(ctx: TaskContext, spilled: Spilled) -> Result<(), BoxError> {
        let results = ctx.app().results().ok_or("this worker has no result backend to keep the result in")?;
        let record = ResultRecord::decode(&spilled.record)?;
        match results.store(&spilled.id, &record, Duration::from_millis(spilled.ttl)).await {
            // An earlier end counts, whether this release can read it or not.
            Ok(_) | Err(ResultError::Decode { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

static KEEP_RESULT: LazyLock<Arc<TaskDef>> = LazyLock::new(|| Arc::new(TaskDef::of::<KeepResult>(file!(), line!())));

/// The built-in task of this name, which every worker knows.
pub(crate) fn built_in(name: &str) -> Option<&'static Arc<TaskDef>> {
    (name == KeepResult::NAME).then_some(&KEEP_RESULT)
}

/// The message that keeps this result.
pub(crate) fn message(id: &TaskId, record: &ResultRecord, ttl: Duration) -> Result<Message, BoxError> {
    let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let spilled = Spilled { id: id.clone(), ttl, record: record.encode() };
    let body = codec::encode(ContentType::MessagePack, &spilled)?;
    let mut message = Message::new(TaskId::new(), KeepResult::NAME, ContentType::MessagePack, body);
    message.retry = KeepResult::CONFIG.retry;
    message.root = id.clone();
    Ok(message)
}
