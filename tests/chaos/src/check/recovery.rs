//! How long it takes until work goes on.

use crate::{
    clock::Instant,
    history::{Fault, History},
    ledger::Event,
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// Milliseconds, over all faults of a kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Recovery {
    pub(crate) measured: usize,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

/// Of killed workers: from the kill until each of their runs began elsewhere. Of all else: from the end of the fault
/// until a task was confirmed and one began. Nothing is measured while other faults last.
pub(super) fn measure(history: &History) -> BTreeMap<String, Recovery> {
    let mut times: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for fault in history.faults.values().filter(|fault| !fault.failed) {
        if is_covered(history, fault) {
            continue;
        }
        let measured = match fault.kind.contains("worker killed") {
            true => taken_up(history, fault),
            false => resumed(history, fault).into_iter().collect(),
        };
        times.entry(fault.kind.clone()).or_default().extend(measured);
    }
    times.into_iter().filter_map(|(kind, times)| Some((kind, recovery(times)?))).collect()
}

/// Whether another fault lasted longer: what is slow then may be slow for that one.
fn is_covered(history: &History, fault: &Fault) -> bool {
    let healed = fault.ended.unwrap_or(fault.began);
    let others = history.faults.values().filter(|other| other.began != fault.began);
    others.into_iter().any(|other| other.began <= healed && other.ended.is_none_or(|ended| ended > healed))
}

fn taken_up(history: &History, fault: &Fault) -> Vec<Duration> {
    let ended = fault.ended.unwrap_or(fault.began) + Duration::from_millis(100);
    let is_victim = |name: &str| name.starts_with(&format!("{}.", fault.target));
    let mut times = Vec::new();
    for (name, life) in history.processes.iter().filter(|(name, _)| is_victim(name)) {
        let Some(death) = life.ended.filter(|death| (fault.began..=ended).contains(death)) else { continue };
        for task in history.tasks.values() {
            let broken = task.runs.iter().any(|run| run.process == *name && run.end.is_none());
            let next = task.runs.iter().map(|run| run.start).find(|start| broken && *start > death);
            times.extend(next.map(|next| next.since(death)));
        }
    }
    times
}

fn resumed(history: &History, fault: &Fault) -> Option<Duration> {
    let healed = fault.ended?;
    let first = |is: fn(&Event) -> bool| -> Option<Instant> {
        let from = history.lines.partition_point(|line| line.at < healed);
        history.lines[from..].iter().find(|line| is(&line.event)).map(|line| line.at)
    };
    let confirmed = first(|event| matches!(event, Event::Confirmed { .. }))?;
    let started = first(|event| matches!(event, Event::Start { .. }))?;
    Some(confirmed.max(started).since(healed))
}

fn recovery(mut times: Vec<Duration>) -> Option<Recovery> {
    times.sort();
    let at = |percent: usize| {
        let time = times.get((times.len() * percent / 100).min(times.len().checked_sub(1)?))?;
        u64::try_from(time.as_millis()).ok()
    };
    Some(Recovery { measured: times.len(), p50: at(50)?, p99: at(99)? })
}
