//! Starts of a run that had started before: each needs a cause in the life of the first one (I4).

use super::{Breach, Finding, ends::recorded};
use crate::{
    clock::Instant,
    history::{History, Life, Run, Task},
    ledger::Phase,
};
use std::{collections::BTreeMap, time::Duration};

/// Others see the end of a connection a little later than it takes effect.
const NOTICING: Duration = Duration::from_millis(250);

/// A claim's lease is 3 s: a process that was stopped for longer than it takes to miss a renewal may have lost one.
const LEASE_AT_RISK: Duration = Duration::from_secs(2);

/// How long a run may go on beside the next one: the lease of a claim, and the time to hear of its loss.
const BESIDE: Duration = Duration::from_secs(5);

/// A run whose claim the store granted before it took the record of the end begins so much later at most: both wait for it, where it
/// stands still, and are answered at once.
const GRANTED_BEFORE: Duration = Duration::from_millis(100);

pub(super) fn check(history: &History) -> (Vec<Finding>, BTreeMap<String, usize>) {
    let (mut findings, mut causes) = (Vec::new(), BTreeMap::new());
    let calm_until = history.phases.get(&Phase::Faults).copied().unwrap_or_default();
    for task in history.tasks.values() {
        let mut find = |breach, text: String| findings.push(Finding { breach, tags: vec![task.tag.clone()], text });
        for (first, second) in repeated(task) {
            let text =
                || format!("attempt {} began in {} and again in {}", first.attempt, first.process, second.process);
            let was_calm = second.start < calm_until && !was_ended_by_a_task(history, first);
            match cause(history, task, first, second).filter(|_| !was_calm) {
                Some(cause) => *causes.entry(cause.to_owned()).or_default() += 1,
                None => find(Breach::DuplicatedWithoutCause, text()),
            }
        }
        if let Some(end) = recorded(task)
            && let Some(run) =
                task.runs.iter().find(|run| run.start > end + GRANTED_BEFORE && !was_under_way(history, run, end))
        {
            find(Breach::RanAfterItsEnd, format!("attempt {} began in {} after the end", run.attempt, run.process));
        }
        for pair in task.runs.windows(2) {
            if let Some(beside) = overlap(history, &pair[0], &pair[1]) {
                find(Breach::Overlapping, format!("{} and {} ran it for {beside:?}", pair[0].process, pair[1].process));
            }
        }
    }
    (findings, causes)
}

/// Whether the run's delivery was on its way to it at that time, by a connection that the broker had ended by then.
fn was_under_way(history: &History, run: &Run, at: Instant) -> bool {
    let ended = history.processes.get(&run.process).and_then(|life| life.ended_before(run.start));
    ended.is_some_and(|ended| ended <= at)
}

fn was_ended_by_a_task(history: &History, run: &Run) -> bool {
    history.processes.get(&run.process).is_some_and(|life| life.was_ended_by_a_task)
}

/// Each start of an attempt with the one before it.
fn repeated(task: &Task) -> Vec<(&Run, &Run)> {
    let mut last: BTreeMap<u32, &Run> = BTreeMap::new();
    task.runs.iter().filter_map(|run| last.insert(run.attempt, run).map(|first| (first, run))).collect()
}

/// What in the life of the first run explains the second: nothing that happened to others does.
fn cause(history: &History, task: &Task, first: &Run, second: &Run) -> Option<&'static str> {
    // The second one may be the one whose message came first, and late.
    if was_under_way(history, second, first.start) {
        return Some("connection lost before its delivery came");
    }
    let life = history.processes.get(&first.process)?;
    let between = |at: &Instant| (first.start..=second.start).contains(at);
    if life.ended.as_ref().is_some_and(between) {
        return Some("process killed");
    }
    let noticed = |at: &Instant| (first.start..=second.start + NOTICING).contains(at);
    if life.lost.iter().any(noticed) {
        return Some("connection lost");
    }
    if life.ended_before(first.start).is_some() {
        return Some("connection lost before its delivery came");
    }
    let id = task.id.as_deref().unwrap_or_default();
    let missed = life.not_renewed.get(id).is_some_and(|times| times.iter().any(noticed));
    let was_stopped = frozen(life, first.start, second.start) > LEASE_AT_RISK;
    // It gave way, or was killed before it could: without that, what it missed did not cost it the claim.
    let never_went_on = life.frozen.last().is_some_and(|(_, thawed)| thawed.is_none());
    let gave_way = life.gave_way.contains(id) || never_went_on;
    (gave_way && (missed || was_stopped)).then_some("claim lost")
}

/// How long a process stood still.
fn frozen(life: &Life, from: Instant, until: Instant) -> Duration {
    let spans = life.frozen.iter();
    spans.map(|(began, ended)| ended.unwrap_or(until).min(until).since((*began).max(from))).sum()
}

/// How long two runs of one task went on together, if that is longer than it takes the first one to hear of the second.
fn overlap(history: &History, first: &Run, second: &Run) -> Option<Duration> {
    let last = history.lines.last().map(|line| line.at).unwrap_or_default();
    let end = |run: &Run| history.end_of(run).unwrap_or(last);
    let until = end(first).min(end(second));
    let beside = until.since(second.start);
    let life = history.processes.get(&first.process);
    // One that stands still, or whose store is away, cannot hear.
    let deaf =
        life.map_or(Duration::ZERO, |life| frozen(life, first.start, until)) + away(history, second.start, until);
    (beside > BESIDE + deaf).then_some(beside)
}

/// How long the store was spoiled.
fn away(history: &History, from: Instant, until: Instant) -> Duration {
    let faults = history.faults.values().filter(|fault| fault.kind.contains("store"));
    faults.map(|fault| fault.ended.unwrap_or(until).min(until).since(fault.began.max(from))).sum()
}
