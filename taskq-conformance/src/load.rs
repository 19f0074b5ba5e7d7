//! Load: many messages, several producers and consumers, none lost and none doubled.

use crate::{
    CaseResult, Harness, NotPassed, Scene,
    messages::{message_of, number_of, publishes},
    scene::{Connection, Taker, all_pass},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use taskq_core::{Broker, Delivery, QueueSpec};
use tokio::{sync::watch, task::JoinSet, time::Instant};

const MESSAGES: u64 = 10_000;
const PUBLISHERS: u64 = 8;
const CONSUMERS: u64 = 4;
const PREFETCH: u16 = 50;
const BATCH: u64 = 50;
/// Every so many messages one is given back at first.
const GIVEN_BACK: u64 = 97;

/// 10,000 messages from 8 publishers on two connections to 4 consumers on two connections, some of them given back once:
/// none is lost, and none comes twice without being marked as redelivered.
pub(crate) async fn nothing_is_lost_or_doubled_under_load<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("load").await?;
    let other = scene.connect().await?;
    let ledger = Arc::new(Ledger::new(scene.patience()));
    let mut running = JoinSet::new();
    for at in 0..CONSUMERS {
        let connection = if at % 2 == 0 { &connection } else { &other };
        running.spawn(work(connection.consume(&queue, PREFETCH).await?, ledger.clone()));
    }
    for at in 0..PUBLISHERS {
        let connection = if at % 2 == 0 { &connection } else { &other };
        running.spawn(publish_share(connection.clone(), queue.clone(), at));
    }
    all_pass(running).await?;
    connection.sees_nothing_left(&queue).await
}

/// One publisher's share, in batches.
async fn publish_share<B: Broker>(connection: Connection<B>, queue: QueueSpec, publisher: u64) -> CaseResult {
    let share = MESSAGES / PUBLISHERS;
    let first = publisher * share;
    for batch in (first..first + share).step_by(BATCH as usize) {
        let end = (batch + BATCH).min(first + share);
        for outcome in connection.publish_many(publishes(&queue, batch..end)).await? {
            outcome.map_err(|error| NotPassed::Broken(format!("a publish under load failed: {error:?}")))?;
        }
    }
    Ok(())
}

/// Takes and settles until every message is acked by somebody.
async fn work(mut taker: Taker, ledger: Arc<Ledger>) -> CaseResult {
    let mut left = ledger.left.subscribe();
    loop {
        tokio::select! {
            biased;
            _ = left.wait_for(|left| *left == 0) => break,
            next = taker.next() => match next {
                Ok(delivery) => ledger.enter(delivery)?,
                // That one consumer has nothing to do is nothing; that none has is a loss.
                Err(silence) if ledger.is_stuck() => return Err(ledger.lost(&silence)),
                Err(_) => {}
            },
        }
    }
    taker.stays_quiet("all messages are acked").await
}

/// What has come and what was acked.
struct Ledger {
    state: Mutex<State>,
    left: watch::Sender<u64>,
    patience: Duration,
}

struct State {
    delivered: Vec<bool>,
    acked: Vec<bool>,
    last: Instant,
}

impl Ledger {
    fn new(patience: Duration) -> Self {
        let none = vec![false; MESSAGES as usize];
        let state = State { delivered: none.clone(), acked: none, last: Instant::now() };
        Ledger { state: Mutex::new(state), left: watch::Sender::new(MESSAGES), patience }
    }

    fn enter(&self, delivery: Delivery) -> CaseResult {
        let number = number_of(message_of(&delivery)?)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = number as usize;
        state.last = Instant::now();
        ensure!(at < state.delivered.len(), "message {number} came, and nobody had published it");
        let before = std::mem::replace(&mut state.delivered[at], true);
        ensure!(!before || delivery.redelivered, "message {number} came twice, and is not marked as redelivered");
        ensure!(!state.acked[at], "message {number} was acked, and came again");
        if !before && number % GIVEN_BACK == 0 {
            drop(state);
            delivery.requeue();
            return Ok(());
        }
        state.acked[at] = true;
        drop(state);
        delivery.ack();
        self.left.send_modify(|left| *left -= 1);
        Ok(())
    }

    /// Whether nothing has come to anybody for as long as the harness has patience.
    fn is_stuck(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last.elapsed() >= self.patience
    }

    fn lost(&self, silence: &NotPassed) -> NotPassed {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lost: Vec<usize> = (0..state.acked.len()).filter(|at| !state.acked[*at]).take(10).collect();
        let left = *self.left.borrow();
        NotPassed::Broken(format!("{left} messages are lost, {lost:?} among them; {silence}"))
    }
}
