//! The checker: a pure function from what was written down and what servers hold to a verdict.

mod ends;
mod order;
mod recovery;
mod repeats;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod tests;

use crate::{
    history::{Answer, History},
    ledger::{Event, Phase},
    run::{leftovers::Leftovers, nemesis::LEAST_IN_FLIGHT, servers::Depth},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub(crate) use recovery::Recovery;

/// How much must have happened for a run to show anything.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Floors {
    pub(crate) confirmed: usize,
    pub(crate) faults: usize,
    pub(crate) kinds: usize,
}

impl Floors {
    /// 15,000 tasks, 10 faults of 5 kinds in 90 s, and as much in proportion.
    pub(crate) fn of(seconds: u64, calm: bool) -> Floors {
        let share = |whole: u64| usize::try_from((whole * seconds).div_ceil(90)).unwrap_or(usize::MAX);
        let confirmed = share(15_000);
        match calm {
            true => Floors { confirmed, faults: 0, kinds: 0 },
            false => Floors { confirmed, faults: share(10), kinds: share(5).min(5) },
        }
    }
}

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Breach {
    Lost,
    WrongEnd,
    Invented,
    TooManyAttempts,
    TooEarly,
    DuplicatedWithoutCause,
    RanAfterItsEnd,
    Overlapping,
    SerialOverlapping,
    OutOfOrder,
    NotHeard,
    UnknownAck,
    NotDrained,
    KeyWithoutTtl,
}

/// One breach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) breach: Breach,
    /// Whose timelines show it, the task that it is of first.
    pub(crate) tags: Vec<String>,
    pub(crate) text: String,
}

/// All that a run came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    pub(crate) submitted: usize,
    pub(crate) confirmed: usize,
    pub(crate) unknown: usize,
    pub(crate) refused: usize,
    pub(crate) done: usize,
    pub(crate) failed: usize,
    pub(crate) dead_letters: usize,
    pub(crate) letters_doubled: usize,
    pub(crate) cancelled: usize,
    pub(crate) expired: usize,
    pub(crate) starts: usize,
    /// Second starts that have a cause, by cause.
    pub(crate) duplicated_with_cause: BTreeMap<String, usize>,
    pub(crate) breaches: BTreeMap<Breach, usize>,
    pub(crate) findings: Vec<Finding>,
    /// For a fault of RabbitMQ's own.
    pub(crate) nodes_restarted: usize,
    pub(crate) unacked_at_the_end: u64,
    pub(crate) not_drained: Vec<Depth>,
    pub(crate) faults: BTreeMap<String, usize>,
    pub(crate) fault_times: Vec<FaultTime>,
    pub(crate) recovery: BTreeMap<String, Recovery>,
    /// Kilobytes at minute marks, by process.
    pub(crate) memory: BTreeMap<String, Vec<u64>>,
    pub(crate) shortfalls: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct FaultTime {
    pub(crate) kind: String,
    pub(crate) target: String,
    pub(crate) at_seconds: f64,
    pub(crate) lasted_seconds: f64,
    pub(crate) in_flight: usize,
    pub(crate) failed: bool,
}

impl Verdict {
    /// Nothing was broken, and enough happened.
    pub(crate) fn holds(&self) -> bool {
        self.findings.is_empty() && self.counts()
    }

    pub(crate) fn counts(&self) -> bool {
        self.shortfalls.is_empty()
    }
}

pub(crate) fn check(history: &History, left: &Leftovers, floors: &Floors) -> Verdict {
    let mut verdict = tally(history, left);
    let mut findings = ends::check(history, left);
    let (repeated, causes) = repeats::check(history);
    findings.extend(repeated);
    findings.extend(order::check(history));
    findings.extend(servers(left));
    verdict.duplicated_with_cause = causes;
    verdict.recovery = recovery::measure(history);
    for finding in &findings {
        *verdict.breaches.entry(finding.breach).or_default() += 1;
    }
    verdict.findings = findings;
    verdict.shortfalls = shortfalls(history, &verdict, floors);
    verdict
}

fn tally(history: &History, left: &Leftovers) -> Verdict {
    use crate::run::leftovers::Ended;
    let answered = |answer| history.tasks.values().filter(|task| task.answer == answer).count();
    let ended = |is: fn(&Ended) -> bool| left.results.values().filter(|ended| is(ended)).count();
    let mut verdict = Verdict {
        submitted: history.tasks.values().filter(|task| task.plan.is_some()).count(),
        confirmed: answered(Answer::Confirmed),
        unknown: answered(Answer::Unknown) + answered(Answer::None),
        refused: answered(Answer::Refused),
        done: ended(|ended| matches!(ended, Ended::Done { .. })),
        failed: ended(|ended| matches!(ended, Ended::Failed { .. })),
        cancelled: ended(|ended| matches!(ended, Ended::Cancelled)),
        expired: ended(|ended| matches!(ended, Ended::Expired)),
        dead_letters: left.letters.values().map(|letters| *letters as usize).sum(),
        letters_doubled: left.letters.values().filter(|letters| **letters > 1).count(),
        starts: history.tasks.values().map(|task| task.runs.len()).sum(),
        nodes_restarted: history.lines.iter().filter(|line| matches!(line.event, Event::NodeRestarted { .. })).count(),
        unacked_at_the_end: left.depths.iter().map(|depth| depth.unacked).sum(),
        not_drained: left.depths.iter().filter(|depth| !depth.is_drained()).cloned().collect(),
        ..Verdict::default()
    };
    let began = history.phases.get(&Phase::Faults).copied().unwrap_or_default();
    for fault in history.faults.values() {
        if !fault.failed {
            *verdict.faults.entry(fault.kind.clone()).or_default() += 1;
        }
        verdict.fault_times.push(FaultTime {
            kind: fault.kind.clone(),
            target: fault.target.clone(),
            at_seconds: fault.began.since(began).as_secs_f64(),
            lasted_seconds: fault.ended.map_or(Duration::ZERO, |ended| ended.since(fault.began)).as_secs_f64(),
            in_flight: fault.in_flight,
            failed: fault.failed,
        });
    }
    for (name, _, kilobytes) in &history.memory {
        verdict.memory.entry(name.clone()).or_default().push(*kilobytes);
    }
    verdict
}

fn servers(left: &Leftovers) -> Vec<Finding> {
    let finding = |breach, text: String| Finding { breach, tags: Vec::new(), text };
    let depths = left.depths.iter().filter(|depth| !depth.is_drained());
    let mut findings: Vec<Finding> = depths.map(|depth| finding(Breach::NotDrained, format!("{depth:?}"))).collect();
    if left.depths.is_empty() {
        findings.push(finding(Breach::NotDrained, "no queue was seen at all".into()));
    }
    findings.extend(left.unknown_acks.iter().map(|line| finding(Breach::UnknownAck, line.clone())));
    findings.extend(left.keys_without_ttl.iter().map(|key| finding(Breach::KeyWithoutTtl, key.clone())));
    findings
}

fn shortfalls(history: &History, verdict: &Verdict, floors: &Floors) -> Vec<String> {
    let made = history.faults.values().filter(|fault| !fault.failed);
    let (made, idle): (Vec<_>, Vec<_>) = made.partition(|fault| fault.in_flight >= LEAST_IN_FLIGHT);
    let kinds: BTreeSet<&str> = made.iter().map(|fault| fault.kind.as_str()).collect();
    let mut shortfalls = Vec::new();
    let mut floor = |what: &str, is: usize, least: usize| {
        if is < least {
            shortfalls.push(format!("{is} {what}, at least {least} are needed"));
        }
    };
    floor("confirmed tasks", verdict.confirmed, floors.confirmed);
    floor("faults", made.len(), floors.faults);
    floor("kinds of faults", kinds.len(), floors.kinds);
    if !idle.is_empty() {
        shortfalls
            .push(format!("{} faults at a time when less than {LEAST_IN_FLIGHT} tasks were in flight", idle.len()));
    }
    shortfalls
}
