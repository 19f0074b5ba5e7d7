//! Deciding: from what happened to what follows. Pure; nothing here sends or stores.

use crate::{
    clock::UnixMillis,
    defaults::{MAX_RESULT, UNKNOWN_TASK_DELAY, UNKNOWN_TASK_ROUNDS},
    error::{Control, control_of},
    failure::{FailureKind, TaskFailure},
    message::Message,
    outcome::{Outcome, Verdict, WaitFor},
    record::{End, ResultRecord},
    task::TaskConfig,
};
use bytes::Bytes;
use std::time::Duration;

/// How long a delivery that cannot be asked about is put off.
const NO_ANSWER_DELAY: Duration = Duration::from_secs(10);

/// Why a delivery was not run.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Its time to run has passed.
    Expired,
    /// Its time to run has not come.
    Early(UnixMillis),
    /// No task of its name is registered here.
    UnknownTask,
    /// It had ended before.
    Ended(Box<ResultRecord>),
    /// Another worker has it, at least for this long.
    Elsewhere(Duration),
    /// Whether it has run cannot be asked.
    NoAnswer,
    /// It ran before, and what was decided then has been done.
    CarriedOut,
    /// So many starts of it ended without a word that it is not started again.
    Poison(u32),
    /// It had ended before, and how cannot be read.
    UnreadableEnd,
    /// Its envelope cannot be read.
    Undecodable(String),
    /// It waited too long for its turn, or the worker is stopping.
    NoTurn,
}

/// What follows a delivery that was not run.
pub(crate) fn decide_refusal(refusal: Refusal, message: Option<&Message>, now: UnixMillis) -> Verdict {
    let attempts = message.map_or(0, |message| message.attempt.saturating_sub(1));
    match refusal {
        Refusal::Expired => Verdict::Finish(End::Expired),
        Refusal::Early(eta) => Verdict::Wait { delay: now.until(eta), until: WaitFor::Eta },
        Refusal::Elsewhere(lease) => Verdict::Wait { delay: lease, until: WaitFor::OtherWorker },
        Refusal::NoAnswer => Verdict::Wait { delay: NO_ANSWER_DELAY, until: WaitFor::Store },
        Refusal::CarriedOut => Verdict::Forget,
        Refusal::Ended(record) => Verdict::Repeat(record),
        Refusal::NoTurn => Verdict::GiveBack,
        Refusal::Undecodable(reason) => {
            Verdict::DeadLetter(TaskFailure::new(FailureKind::Undecodable, reason, attempts))
        }
        Refusal::Poison(silent) => {
            let attempts = message.map_or(0, |message| message.attempt);
            let text = format!(
                "{silent} times the worker's process ended while it ran the task, with nothing said: does the task abort \
                 the process, or use up its memory or its stack?"
            );
            Verdict::DeadLetter(TaskFailure::new(FailureKind::WorkerLost, text, attempts))
        }
        Refusal::UnknownTask => wait_for_newer_worker(message).unwrap_or_else(|| {
            let name = message.map_or("", |message| &message.task);
            let text = format!("no worker knows task `{name}`; is the crate that defines it part of the worker?");
            Verdict::DeadLetter(TaskFailure::new(FailureKind::UnknownTask, text, attempts))
        }),
        Refusal::UnreadableEnd => wait_for_newer_worker(message).unwrap_or_else(|| {
            let text = "it came again after it had ended, and no worker can read the record of its end";
            Verdict::DeadLetter(TaskFailure::new(FailureKind::Undecodable, text, attempts))
        }),
    }
}

/// Another worker may be of a newer release, which knows more. `None` once that was waited for often enough.
fn wait_for_newer_worker(message: Option<&Message>) -> Option<Verdict> {
    let waited = message.is_none_or(|message| message.unknown >= UNKNOWN_TASK_ROUNDS);
    (!waited).then_some(Verdict::Wait { delay: UNKNOWN_TASK_DELAY, until: WaitFor::NewerWorker })
}

/// What follows a run. `draw`, from 0 to 1, is the chance in the jitter.
pub(crate) fn decide(outcome: &Outcome, message: &Message, config: &TaskConfig, draw: f64) -> Verdict {
    let attempt = message.attempt;
    let failure = |kind, text: &str| TaskFailure::new(kind, text, attempt);
    match outcome {
        Outcome::Done(value) => decide_value(value, config, attempt),
        Outcome::Unstorable(reason) if config.store_result => give_up(failure(FailureKind::Result, reason), config),
        Outcome::Unstorable(_) => Verdict::Finish(End::Done(Bytes::new())),
        Outcome::Undecodable(reason) => give_up(failure(FailureKind::Undecodable, reason), config),
        Outcome::Interrupted => Verdict::GiveBack,
        Outcome::TimedOut(limit) => {
            let text = format!("the run took longer than its limit of {limit:?}");
            retry_or_give_up(failure(FailureKind::Timeout, &text), message, config, None, draw)
        }
        Outcome::Panicked(panic) => {
            retry_or_give_up(failure(FailureKind::Panic, &panic.to_string()), message, config, None, draw)
        }
        Outcome::Failed(error) => {
            let failed = |kind| TaskFailure::from_error(kind, &**error, attempt);
            match control_of(&**error) {
                Some(Control::Permanent) => give_up(failed(FailureKind::Permanent), config),
                Some(Control::Discard) => Verdict::Finish(End::Discarded(failed(FailureKind::Discarded))),
                Some(Control::RetryIn(delay)) => {
                    retry_or_give_up(failed(FailureKind::Error), message, config, Some(delay), draw)
                }
                Some(Control::Retry) | None => {
                    retry_or_give_up(failed(FailureKind::Error), message, config, None, draw)
                }
            }
        }
    }
}

fn decide_value(value: &Bytes, config: &TaskConfig, attempt: u32) -> Verdict {
    if !config.store_result {
        return Verdict::Finish(End::Done(Bytes::new()));
    }
    if value.len() <= MAX_RESULT {
        return Verdict::Finish(End::Done(value.clone()));
    }
    let size = value.len();
    let text =
        format!("the value has {size} bytes; the limit is {MAX_RESULT}: store it elsewhere and return a reference");
    give_up(TaskFailure::new(FailureKind::Result, text, attempt), config)
}

fn retry_or_give_up(
    failure: TaskFailure,
    message: &Message,
    config: &TaskConfig,
    asked: Option<Duration>,
    draw: f64,
) -> Verdict {
    if message.attempt > message.retry {
        return give_up(failure, config);
    }
    let delay = asked.unwrap_or_else(|| config.backoff.jittered(message.attempt, draw));
    Verdict::Retry { delay, failure }
}

fn give_up(failure: TaskFailure, config: &TaskConfig) -> Verdict {
    if config.dead_letter { Verdict::DeadLetter(failure) } else { Verdict::Finish(End::Discarded(failure)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::TaskError, message::ContentType, panic::Panic};

    const CONFIG: TaskConfig = TaskConfig::new().retry(2);

    fn message(attempt: u32, retry: u32) -> Message {
        let mut message = Message::new("id".into(), "task", ContentType::MessagePack, Bytes::new());
        (message.attempt, message.retry) = (attempt, retry);
        message
    }

    fn kind_of(verdict: &Verdict) -> Option<FailureKind> {
        match verdict {
            Verdict::DeadLetter(failure) | Verdict::Retry { failure, .. } => Some(failure.kind),
            Verdict::Finish(End::Discarded(failure)) => Some(failure.kind),
            _ => None,
        }
    }

    #[test]
    fn every_kind_of_failure_is_retried_until_retries_are_used_up() {
        let outcomes: [(fn() -> Outcome, FailureKind); 3] = [
            (|| Outcome::failed("no"), FailureKind::Error),
            (|| Outcome::TimedOut(Duration::from_secs(1)), FailureKind::Timeout),
            (|| Outcome::Panicked(Panic { message: "oh".into(), location: None }), FailureKind::Panic),
        ];
        for (outcome, kind) in outcomes {
            for attempt in 1..=2 {
                let verdict = decide(&outcome(), &message(attempt, 2), &CONFIG, 0.5);
                assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
                assert_eq!(kind_of(&verdict), Some(kind));
            }
            let verdict = decide(&outcome(), &message(3, 2), &CONFIG, 0.5);
            assert!(matches!(&verdict, Verdict::DeadLetter(failure) if failure.attempts == 3), "{verdict:?}");
            assert_eq!(kind_of(&verdict), Some(kind));
        }
    }

    #[test]
    fn marks_decide_over_retries() {
        let decide = |error: TaskError| decide(&Outcome::failed(error), &message(1, 2), &CONFIG, 0.5);
        assert_eq!(kind_of(&decide(TaskError::permanent("no"))), Some(FailureKind::Permanent));
        assert!(matches!(decide(TaskError::permanent("no")), Verdict::DeadLetter(_)));
        assert!(matches!(decide(TaskError::discard("no")), Verdict::Finish(End::Discarded(_))));
        let later = Duration::from_secs(90);
        assert!(matches!(decide(TaskError::retry_in("no", later)), Verdict::Retry { delay, .. } if delay == later));
    }

    #[test]
    fn a_delay_that_is_no_duration_leaves_it_to_the_backoff() {
        let config = TaskConfig::new().retry(2).backoff(crate::Backoff::fixed(Duration::from_secs(60)));
        let verdict = decide(&Outcome::failed(TaskError::retry_in("no", "a while")), &message(1, 2), &config, 1.0);
        assert!(matches!(verdict, Verdict::Retry { delay, .. } if delay == Duration::from_secs(60)), "{verdict:?}");
    }

    #[test]
    fn retry_in_does_not_add_retries() {
        let outcome = Outcome::failed(TaskError::retry_in("no", "1s"));
        assert!(matches!(decide(&outcome, &message(3, 2), &CONFIG, 0.5), Verdict::DeadLetter(_)));
    }

    #[test]
    fn without_dead_letters_giving_up_is_a_discard_of_the_same_kind() {
        let config = TaskConfig::new().dead_letter(false);
        let verdict = decide(&Outcome::failed("no"), &message(1, 0), &config, 0.5);
        assert!(matches!(&verdict, Verdict::Finish(End::Discarded(_))), "{verdict:?}");
        assert_eq!(kind_of(&verdict), Some(FailureKind::Error));
    }

    #[test]
    fn a_value_that_is_too_large_fails_without_a_further_run() {
        let large = Bytes::from(vec![0; MAX_RESULT + 1]);
        let verdict = decide(&Outcome::Done(large.clone()), &message(1, 2), &CONFIG, 0.5);
        assert_eq!(kind_of(&verdict), Some(FailureKind::Result));
        assert!(matches!(verdict, Verdict::DeadLetter(_)));
        let unstored = decide(&Outcome::Done(large), &message(1, 2), &CONFIG.store_result(false), 0.5);
        assert_eq!(unstored, Verdict::Finish(End::Done(Bytes::new())));
    }

    #[test]
    fn an_attempt_that_is_none_counts_as_no_run() {
        let verdict = decide_refusal(Refusal::Undecodable("no".into()), Some(&message(0, 0)), UnixMillis(0));
        assert!(matches!(&verdict, Verdict::DeadLetter(failure) if failure.attempts == 0), "{verdict:?}");
    }

    #[test]
    fn an_unknown_task_waits_for_a_newer_worker_then_is_dead_lettered() {
        let now = UnixMillis(0);
        let mut message = message(1, 0);
        for round in 0..UNKNOWN_TASK_ROUNDS {
            message.unknown = round;
            let verdict = decide_refusal(Refusal::UnknownTask, Some(&message), now);
            assert_eq!(verdict, Verdict::Wait { delay: UNKNOWN_TASK_DELAY, until: WaitFor::NewerWorker });
        }
        message.unknown = UNKNOWN_TASK_ROUNDS;
        let verdict = decide_refusal(Refusal::UnknownTask, Some(&message), now);
        assert!(matches!(&verdict, Verdict::DeadLetter(failure) if failure.attempts == 0), "{verdict:?}");
    }
}
