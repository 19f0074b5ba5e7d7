//! An attempt that was published twice, as one is whose worker dies between its publish and its ack, and a result store that
//! takes no notes for a while.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{sync::Arc, time::Duration};
use support::Log;
use taskq::{
    Bid, BoxFuture, Broker, BrokerError, ClaimAnswer, Content, InMemoryResults, Origin, Publish, ResultBackend,
    ResultError, prelude::*,
};
use taskq_faults::wait::eventually;
use tokio::time::Instant;

/// The delay of each retry: attempt 2 begins so long after the start, attempt 3 twice as long.
const BACKOFF: Duration = Duration::from_secs(30);

/// So long after the first message of attempt 2 comes the second.
const LATER: Duration = Duration::from_secs(10);

/// Publishes attempt 2 twice.
struct Doubled(InMemoryBroker);

impl Broker for Doubled {
    broker_but_publish!(0);

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            let is_second = matches!(&message.content, Content::Task(task) if task.attempt == 2);
            if is_second && matches!(message.origin, Origin::Worker) {
                self.0.publish(message.clone().delay(Some(BACKOFF + LATER))).await?;
            }
            self.0.publish(message).await
        })
    }
}

/// Takes notes of what was carried out only after a while.
struct Away {
    results: InMemoryResults,
    until: Instant,
}

impl ResultBackend for Away {
    results_but_claims!(results);

    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        self.results.claim(bid)
    }

    fn carried_out<'a>(&'a self, bid: &'a Bid, ended: bool, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        if Instant::now() >= self.until {
            return self.results.carried_out(bid, ended, ttl);
        }
        let source = format!("away when {} came", bid.run.task).into();
        Box::pin(async { Err(ResultError::Store { address: "memory".into(), source }) })
    }
}

#[task(retry = 2, backoff = "fixed(30s)")]
async fn fail_twice(ctx: TaskContext, log: State<Log>) -> Result<u32, String> {
    log.note(format!("attempt {}", ctx.attempt()));
    if ctx.attempt() <= 2 { Err("not yet".into()) } else { Ok(ctx.attempt()) }
}

/// What ran when the store took no notes for so long from the start on.
async fn runs_with_a_store_away_for(away: Duration) -> Vec<String> {
    let (log, results) = (Log::default(), Away { results: InMemoryResults::new(), until: Instant::now() + away });
    let app = Arc::new(Doubled(InMemoryBroker::new())).with_result_backend(results).with_state(log.clone());
    let handle = fail_twice.kiq().on(&app).await.unwrap();
    assert_eq!(handle.wait_result().timeout("10m").await.unwrap().into_value().unwrap(), 3);
    tokio::time::sleep(BACKOFF * 5).await;
    let broker = app.broker().clone();
    let is_settled = async || {
        let queue = broker.inspect("taskq").await.unwrap();
        queue.ready == 0 && queue.unsettled == Some(0)
    };
    eventually("all is settled", is_settled).await;
    log.texts()
}

const ONCE_EACH: [&str; 3] = ["attempt 1", "attempt 2", "attempt 3"];

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_published_twice_runs_once() {
    assert_eq!(runs_with_a_store_away_for(Duration::ZERO).await, ONCE_EACH);
}

#[tokio::test(start_paused = true)]
async fn it_runs_once_if_the_store_takes_no_notes_while_the_first_message_is_carried_out() {
    assert_eq!(runs_with_a_store_away_for(BACKOFF + LATER / 2).await, ONCE_EACH);
}

#[tokio::test(start_paused = true)]
async fn it_runs_once_if_the_store_takes_no_notes_when_the_second_message_comes() {
    assert_eq!(runs_with_a_store_away_for(BACKOFF + LATER * 2).await, ONCE_EACH);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_no_notes_for_long_holds_nothing_up_for_ever() {
    let ran = runs_with_a_store_away_for(BACKOFF * 1_000).await;
    assert_eq!(ran.first().map(String::as_str), Some("attempt 1"));
    assert_eq!(ran.last().map(String::as_str), Some("attempt 3"), "{ran:?}");
}
