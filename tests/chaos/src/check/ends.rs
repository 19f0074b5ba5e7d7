//! What each task came to: nothing lost, nothing invented, no end that is not its own (I1, I2, I3, I6, I8).

use super::{Breach, Finding};
use crate::{
    clock::Instant,
    history::{Answer, History, Task},
    ledger::Decision,
    plan::{Expected, Kind},
    run::leftovers::{Ended, Leftovers},
};
use std::time::Duration;
use taskq::FailureKind;

/// So many starts that ended without a word make a task look as if it kills its process.
const SILENT_ENDS: usize = 3;

/// A waiter that is told nothing for so long after the end is not told.
const HEARING: Duration = Duration::from_secs(20);

/// Clocks are read one after the other.
const EARLY: u64 = 5;

pub(super) fn check(history: &History, left: &Leftovers) -> Vec<Finding> {
    let mut findings = Vec::new();
    for task in history.tasks.values() {
        let mut find = |breach, text: String| findings.push(Finding { breach, tags: vec![task.tag.clone()], text });
        let Some(plan) = task.plan else {
            find(Breach::Invented, "it ran and nobody sent it".into());
            continue;
        };
        let ended = task.id.as_ref().and_then(|id| left.results.get(id));
        let letters = task.id.as_ref().and_then(|id| left.letters.get(id)).copied().unwrap_or_default();
        let is_known = !task.runs.is_empty() || ended.is_some() || letters > 0;
        match (task.answer, plan.expected()) {
            (Answer::Refused, _) if is_known => find(Breach::Invented, "it was refused, and it is there".into()),
            (Answer::Confirmed, Expected::Refused) => find(Breach::Lost, "it was confirmed, and went nowhere".into()),
            (Answer::Confirmed, expected) => end(history, task, expected, ended, letters, &mut find),
            (Answer::Unknown | Answer::None, expected) if is_known => {
                end(history, task, expected, ended, letters, &mut find);
            }
            _ => {}
        }
        runs(task, &mut find);
    }
    findings
}

fn end(
    history: &History,
    task: &Task,
    expected: Expected,
    ended: Option<&Ended>,
    letters: u32,
    find: &mut impl FnMut(Breach, String),
) {
    let Some(ended) = ended else { return find(Breach::Lost, "no end of it is recorded".into()) };
    let lost_worker = || silent_ends(history, task) >= SILENT_ENDS;
    let is_right = match (ended, expected) {
        (Ended::Done { attempts, value }, Expected::Done { attempts: wanted }) => {
            *attempts == wanted && *value == task.tag
        }
        (Ended::Done { value, .. }, Expected::DoneOrExpired) => *value == task.tag,
        (Ended::Expired, Expected::DoneOrExpired) => true,
        // Neither has a number of its own: the first one never ran, the second one never came to an end.
        (Ended::Failed { kind, attempts }, Expected::Failed { kind: wanted, attempts: runs }) if *kind == wanted => {
            *attempts == runs || matches!(kind, FailureKind::Undecodable | FailureKind::WorkerLost)
        }
        (Ended::Failed { kind: FailureKind::WorkerLost, .. }, _) => lost_worker(),
        _ => false,
    };
    if !is_right {
        find(Breach::WrongEnd, format!("{ended:?} is recorded where {expected:?} was due"));
    }
    match ended {
        Ended::Failed { .. } if letters == 0 => find(Breach::Lost, "it failed, and there is no dead letter".into()),
        Ended::Done { .. } if letters > 0 => find(Breach::WrongEnd, "it is done, and there is a dead letter".into()),
        _ => {}
    }
    if let (Some(given_up), Some(end)) = (task.not_heard, recorded(task))
        && given_up.since(end) > HEARING
    {
        find(Breach::NotHeard, "its end was recorded, and a waiter was not told".into());
    }
}

/// When a worker had recorded the end for sure.
pub(super) fn recorded(task: &Task) -> Option<Instant> {
    let is_end = |verdict| matches!(verdict, Some(Decision::Finished | Decision::DeadLetter));
    task.settlements.iter().filter(|done| done.acked && is_end(done.verdict)).map(|done| done.at).min()
}

/// Runs that ended with their process, be it when they were claimed or about to begin: the store was asked, and nobody heard
/// its answer.
fn silent_ends(history: &History, task: &Task) -> usize {
    let ended = |name: &str| history.processes.get(name).is_some_and(|life| life.ended.is_some());
    let begun = task.runs.iter().filter(|run| run.end.is_none() && ended(&run.process)).count();
    let id = task.id.as_deref().unwrap_or_default();
    let not_begun = history.processes.iter().filter(|(name, life)| {
        let asked = life.about_to_begin.get(id).filter(|_| life.ended.is_some());
        let is_known = |asked: Instant| {
            let mut begun = task.runs.iter().filter(|run| run.process == **name);
            let mut settled = task.settlements.iter().filter(|settled| settled.process == **name);
            begun.any(|run| run.start >= asked || run.end.is_none()) || settled.any(|settled| settled.at >= asked)
        };
        asked.is_some_and(|asked| !is_known(*asked))
    });
    begun + not_begun.count()
}

fn runs(task: &Task, find: &mut impl FnMut(Breach, String)) {
    let Some(plan) = task.plan else { return };
    if let Some(run) = task.runs.iter().find(|run| run.attempt == 0 || run.attempt > plan.max_attempts()) {
        find(Breach::TooManyAttempts, format!("attempt {} of {}", run.attempt, plan.max_attempts()));
    }
    if let (Kind::Delayed { millis }, Some(run)) = (plan.kind, task.runs.first()) {
        let due = task.submitted_wall + millis;
        if run.start_wall + EARLY < due {
            find(Breach::TooEarly, format!("it ran {} ms before it was due", due - run.start_wall));
        }
    }
}
