//! How to test tasks: as plain functions, and end to end in memory, with time paused.
//!
//! Run the tests with `cargo test --example testing`; `cargo run --example testing` says no more than:
//!
//! ```text
//! run `cargo test --example testing`
//! ```

#![allow(missing_docs, clippy::print_stdout)]

use std::sync::Mutex;
use taskq::prelude::*;

/// What the task needs from the app. In production it sends mail; in a test it remembers.
#[derive(Debug, Default)]
pub struct Outbox {
    sent: Mutex<Vec<String>>,
}

impl Outbox {
    fn send(&self, text: String) {
        if let Ok(mut sent) = self.sent.lock() {
            sent.push(text);
        }
    }

    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().map(|sent| sent.clone()).unwrap_or_default()
    }
}

/// Welcomes a user; the mail server is moody and wants to be asked three times.
#[task(retry = 5, backoff = "exp(10m)")]
pub async fn welcome(ctx: TaskContext, outbox: State<Outbox>, user: &str) -> Result<usize, String> {
    if ctx.attempt() < 3 {
        return Err("the mail server is busy".into());
    }
    outbox.send(format!("welcome, {user}"));
    Ok(user.len())
}

#[task]
pub async fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn main() {
    println!("run `cargo test --example testing`");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn as_a_plain_call() {
        assert_eq!(add(1, 2).await, 3);
    }

    #[tokio::test]
    async fn as_the_function_itself_with_a_context_and_a_state_of_ones_own() {
        let app = InMemoryBroker::new().into_app();
        let outbox = State::new(Outbox::default());
        let first = welcome::inner(TaskContext::detached(&app), outbox.clone(), "Ada").await;
        assert_eq!(first.unwrap_err(), "the mail server is busy");
        assert!(outbox.sent().is_empty());
    }

    #[tokio::test]
    async fn end_to_end_in_memory() -> taskq::Result<()> {
        InMemoryBroker::new()
            .with_state(Outbox::default())
            .scope(async {
                assert_eq!(add.kiq(1, 2).await?.wait_result().await?.into_value()?, 3);
                Ok(())
            })
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn with_retries_and_their_waiting_in_no_time() {
        let broker = InMemoryBroker::new();
        let app = broker.clone().with_state(Outbox::default());
        let began = tokio::time::Instant::now();
        welcome.kiq("Ada").delay("1h").on(&app).await.unwrap();
        broker.wait_idle().await;
        assert_eq!(app.state().get::<Outbox>().unwrap().sent(), ["welcome, Ada"]);
        assert!(began.elapsed() > Duration::from_secs(3600));
        assert!(broker.dead_letters("taskq").is_empty());
    }
}
