//! The page that the README starts with.
extern crate taskq_core as taskq;

use taskq::prelude::*;
use taskq_macros::task;

#[derive(Clone)]
pub struct Pool;

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    text: String,
}

#[derive(Debug)]
pub enum ChatError {
    Busy,
}

impl std::fmt::Display for ChatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("busy")
    }
}

impl std::error::Error for ChatError {}

impl ChatError {
    fn is_transient(&self) -> bool {
        matches!(self, ChatError::Busy)
    }
}

/// Adds two numbers.
#[task(retry = 3, timeout = "300s")]
pub async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task(
    name = "chat.process",
    queue = "chat",
    retry = 3,
    timeout = "300s",
    backoff = "exp(1s, x2, max = 60s)",
    retry_on = ChatError::is_transient,
    expires = "1h",
    ack = "on_receive",
    result_ttl = "2h 30m",
    store_result = true,
    dead_letter = false,
    track
)]
pub async fn process_chat(
    ctx: TaskContext,
    db: State<Pool>,
    session_id: &str,
    message: &str,
) -> Result<Answer, ChatError> {
    let _ = (ctx.attempt(), &*db);
    if message.is_empty() { Err(ChatError::Busy) } else { Ok(Answer { text: format!("{session_id}{message}") }) }
}

fn spawnable<F: Future + Send + 'static>(_: F) {}

fn main() {
    let owned = String::from("owned");
    spawnable(add(1, 2));
    spawnable(add.kiq(1, 2));
    spawnable(add(1, 2).kiq().delay("5s").label("tenant", "acme"));
    spawnable(process_chat.kiq(&owned, "literal"));
    let add = 3;
    let _ = add;
    let _calls: Vec<Call<self::add>> = (0..3).map(|i| self::add(i, 1)).collect();
    assert_eq!(<self::add as taskq::Task>::NAME, concat!(module_path!(), "::add"));
    assert_eq!(<process_chat as taskq::Task>::NAME, "chat.process");
    let config = <process_chat as taskq::Task>::CONFIG;
    assert_eq!((config.retry, config.queue, config.track, config.dead_letter), (3, Some("chat"), true, false));
    assert_eq!(config.ack, taskq::Ack::OnReceive);
    let seconds = std::time::Duration::from_secs;
    assert_eq!(config.backoff, taskq::Backoff::exp(seconds(1)).factor(2.0).max(seconds(60)));
    assert_eq!(config.timeout, Some(seconds(300)));
    assert_eq!((config.expires, config.result_ttl), (Some(seconds(3600)), Some(seconds(9000))));
}
