//! For how long what a connection delivers may have been on its way.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use taskq_core::defaults::TRUST;
use tokio::{sync::Notify, time::Instant};

/// A node that has stood still may go on delivering, for so long, what other nodes of its cluster had sent to it before: they
/// have taken it for dead meanwhile, and given the same messages to others. It answers questions before.
const AFTERMATH: Duration = Duration::from_secs(10);

/// What is known by the answers to questions that are asked again and again. Times are milliseconds since it began.
pub(crate) struct Hearing {
    began: Instant,
    /// When the question was asked behind whose answer all deliveries are.
    sure: AtomicU64,
    /// Until then no answer is believed.
    doubtful_until: AtomicU64,
    answers: Notify,
}

impl Hearing {
    pub(crate) fn new() -> Hearing {
        Hearing {
            began: Instant::now(),
            sure: AtomicU64::new(0),
            doubtful_until: AtomicU64::new(0),
            answers: Notify::new(),
        }
    }

    /// What is delivered now was sent by the server after this instant.
    pub(crate) fn since(&self) -> Instant {
        self.began + Duration::from_millis(self.sure.load(Ordering::Acquire))
    }

    /// A question that was asked then has just been answered.
    pub(crate) fn answered(&self, asked: Instant) {
        if asked.elapsed() >= TRUST {
            self.doubtful_until.store(self.millis(Instant::now() + AFTERMATH), Ordering::Release);
        }
        let asked = self.millis(asked);
        if asked >= self.doubtful_until.load(Ordering::Acquire) {
            self.sure.store(asked, Ordering::Release);
        }
        self.answers.notify_waiters();
    }

    /// Resolves at the next answer. Cancel safe.
    pub(crate) async fn next_answer(&self) {
        self.answers.notified().await;
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    /// Asks, and is answered after `took`.
    async fn ask(hearing: &Hearing, took: Duration) -> Instant {
        let asked = Instant::now();
        advance(took).await;
        hearing.answered(asked);
        asked
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_younger_than_the_last_question_that_was_answered() {
        let hearing = Hearing::new();
        let began = Instant::now();
        advance(Duration::from_secs(5)).await;
        assert_eq!(hearing.since(), began, "nothing was answered yet");
        let asked = ask(&hearing, Duration::from_millis(20)).await;
        assert_eq!(hearing.since(), asked);
        advance(Duration::from_secs(5)).await;
        assert_eq!(hearing.since(), asked, "it may have waited on the line since");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_standstill_what_comes_may_be_as_old_as_before_it_for_some_time() {
        let hearing = Hearing::new();
        advance(Duration::from_secs(1)).await;
        let before = ask(&hearing, Duration::ZERO).await;
        advance(Duration::from_secs(1)).await;
        ask(&hearing, TRUST).await;
        assert_eq!(hearing.since(), before);
        let resumed = Instant::now();
        while resumed.elapsed() < AFTERMATH {
            assert_eq!(hearing.since(), before, "{:?} after the standstill", resumed.elapsed());
            advance(Duration::from_secs(1)).await;
            ask(&hearing, Duration::from_millis(1)).await;
        }
        advance(Duration::from_secs(1)).await;
        let asked = ask(&hearing, Duration::from_millis(1)).await;
        assert_eq!(hearing.since(), asked);
    }
}
