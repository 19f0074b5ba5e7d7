//! Queues that refuse what one channel gives them, and for how long they have.
//!
//! A queue that is full refuses by every channel. RabbitMQ 3.10 also has channels that go on refusing by themselves: such as
//! were opened after a queue had lost its leader and before it had another one, and some that a full queue refused.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long a queue refuses until another channel is tried, at first and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

pub(super) struct Refusals {
    since: BTreeMap<String, Instant>,
    patience: Duration,
}

impl Default for Refusals {
    fn default() -> Self {
        Refusals { since: BTreeMap::new(), patience: PATIENCE.0 }
    }
}

impl Refusals {
    pub(super) fn refused(&mut self, queue: &str) {
        if !self.since.contains_key(queue) {
            self.since.insert(queue.to_owned(), Instant::now());
        }
    }

    pub(super) fn taken(&mut self, queue: &str) {
        if !self.since.is_empty() && self.since.remove(queue).is_some() {
            self.patience = PATIENCE.0;
        }
    }

    /// Whether another channel is to be tried.
    pub(super) fn are_doubtful(&self) -> bool {
        self.since.values().any(|since| since.elapsed() >= self.patience)
    }

    /// The next one is tried less soon, until a queue takes again what it refused.
    pub(super) fn be_patient(&mut self) {
        self.patience = (self.patience * 2).min(PATIENCE.1);
    }

    /// Another channel is used.
    pub(super) fn forget(&mut self) {
        self.since.clear();
    }
}
