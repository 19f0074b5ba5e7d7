//! The serial queue: one run at a time, in the order in which one publisher had them confirmed (I7).

use super::{Breach, Finding};
use crate::{
    history::{Answer, Fault, History, Run, Task},
    plan::Queue,
};
use std::collections::BTreeMap;

pub(super) fn check(history: &History) -> Vec<Finding> {
    let serial = || history.tasks.values().filter(|task| task.plan.is_some_and(|plan| plan.queue == Queue::Serial));
    let mut findings = overlaps(history, serial());
    let mut publishers: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    // The place of one that was not confirmed is not known, and others have lost theirs.
    let has_kept_its_place = |task: &&Task| !was_put_off(task) && !has_moved(history, task);
    for task in serial().filter(|task| task.answer == Answer::Confirmed).filter(has_kept_its_place) {
        publishers.entry(&task.publisher).or_default().push(task);
    }
    for mut tasks in publishers.into_values() {
        tasks.sort_by_key(|task| task.submitted);
        for pair in tasks.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            if before.runs[0].start > after.runs[0].start {
                let text = format!("it first ran before {}, which was sent earlier", before.tag);
                findings.push(Finding {
                    breach: Breach::OutOfOrder,
                    tags: vec![after.tag.clone(), before.tag.clone()],
                    text,
                });
            }
        }
    }
    findings
}

/// Whether it was acknowledged before it ran: its confirm was lost, and there may have been two of it. So has one that never
/// ran.
fn was_put_off(task: &Task) -> bool {
    let Some(first) = task.runs.first() else { return true };
    task.settlements.iter().any(|settled| settled.acked && settled.at < first.start)
}

/// Whether its queue may have got another leader while it waited: what the one before had given out comes back to the next
/// in an order of the server's own.
fn has_moved(history: &History, task: &Task) -> bool {
    let Some(first) = task.runs.first() else { return true };
    let moves = |fault: &&Fault| matches!(&*fault.kind, "leader killed" | "node frozen" | "two nodes killed");
    history
        .faults
        .values()
        .filter(moves)
        .any(|fault| fault.began < first.start && fault.ended.is_none_or(|ended| ended > task.submitted))
}

fn overlaps<'a>(history: &'a History, tasks: impl Iterator<Item = &'a Task>) -> Vec<Finding> {
    let mut runs: Vec<(&Task, &Run)> = tasks.flat_map(|task| task.runs.iter().map(move |run| (task, run))).collect();
    runs.sort_by_key(|(_, run)| run.start);
    let mut findings = Vec::new();
    for pair in runs.windows(2) {
        let ((other, first), (task, second)) = (pair[0], pair[1]);
        if history.end_of(first).is_none_or(|end| end > second.start) {
            let text = format!("it began in {} while another one ran in {}", second.process, first.process);
            findings.push(Finding {
                breach: Breach::SerialOverlapping,
                tags: vec![task.tag.clone(), other.tag.clone()],
                text,
            });
        }
    }
    findings
}
