//! Tasks and the app that carries them, shared by producers and workers.
//!
//! ```text
//! $ taskq worker my_app::broker --concurrency 100      # a worker, without any code
//! $ cargo run -p my_app --bin worker                   # the same worker, as a binary of one's own
//! $ cargo run -p my_app --bin producer                 # submits tasks and waits for their results
//! ```

use serde::{Deserialize, Serialize};
use std::time::Duration;
use taskq::prelude::*;

/// Adds two numbers.
#[task(retry = 3, timeout = "300s")]
pub async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Sleeps, and says which process did so.
#[task(retry = 3)]
pub async fn nap(millis: u64) -> u32 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    std::process::id()
}

/// What a chat answers.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// The attempt that gave it.
    pub attempt: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Trying again may help.
    #[error("the model is busy")]
    Busy,
    /// Trying again does not help.
    #[error("there is nothing to answer")]
    Empty,
}

impl ChatError {
    fn is_transient(&self) -> bool {
        matches!(self, ChatError::Busy)
    }
}

/// Something that tasks share: here, a name; in production, a connection pool.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name.
    pub name: String,
}

/// Answers a message in a session.
///
/// # Errors
/// The first attempt at "busy" fails and is run again; an empty message fails for good.
#[task(
    name = "chat.process",
    queue = "my_app.chat",
    retry = 3,
    timeout = "300s",
    backoff = "exp(1s, max = 60s)",
    retry_on = ChatError::is_transient
)]
pub async fn process_chat(
    ctx: TaskContext,
    model: State<Model>,
    session_id: &str,
    message: &str,
) -> Result<Answer, ChatError> {
    match message {
        "" => Err(ChatError::Empty),
        "busy" if ctx.attempt() == 1 => Err(ChatError::Busy),
        text => Ok(Answer { text: format!("{} says to {session_id}: {text}", model.name), attempt: ctx.attempt() }),
    }
}

/// Welcomes a user by mail.
#[task(queue = "my_app.mail")]
pub async fn welcome(user: u64) -> String {
    format!("welcome, user {user}")
}

/// Counts words on the blocking pool, so that it does not stand in the way of others.
#[task]
pub fn count_words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The app: RabbitMQ carries the tasks, Redis keeps the results.
pub fn broker() -> App {
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    AmqpBroker::new(variable("TASKQ_AMQP_URL", "amqp://guest:guest@localhost:5672/%2f"))
        .with_result_backend(RedisResults::new(variable("TASKQ_REDIS_URL", "redis://localhost:6379")))
        .with_state(Model { name: "eliza".to_owned() })
        .with_default_queue(variable("MY_APP_QUEUE", "my_app"))
        .with_queue(QueueSpec::new("my_app.mail").priorities(10))
}
