//! A verdict for people and for other programs: a table, `verdict.json`, and the timeline of each task that is at fault.

use crate::{
    check::{Breach, Verdict},
    history::History,
    ledger::Line,
};
use std::{
    error::Error,
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::Path,
};

/// More timelines than this help nobody.
const SHOWN: usize = 20;

const BREACHES: [(Breach, &str); 14] = [
    (Breach::Lost, "lost"),
    (Breach::WrongEnd, "wrong end"),
    (Breach::Invented, "invented"),
    (Breach::TooManyAttempts, "too many attempts"),
    (Breach::TooEarly, "too early"),
    (Breach::DuplicatedWithoutCause, "duplicated without cause"),
    (Breach::RanAfterItsEnd, "ran after its end"),
    (Breach::Overlapping, "overlapping"),
    (Breach::SerialOverlapping, "overlapping in the serial queue"),
    (Breach::OutOfOrder, "out of order"),
    (Breach::NotHeard, "waiters not told"),
    (Breach::UnknownAck, "acks of unknown deliveries (406)"),
    (Breach::NotDrained, "queues not drained"),
    (Breach::KeyWithoutTtl, "keys without time to live"),
];

/// Prints and saves it.
pub(crate) fn publish(verdict: &Verdict, history: &History, seed: u64, directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::write(directory.join("verdict.json"), serde_json::to_vec_pretty(verdict)?)?;
    fs::write(directory.join("timelines.txt"), timelines(verdict, history, usize::MAX))?;
    let text = table(verdict, seed) + &timelines(verdict, history, SHOWN);
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

fn table(verdict: &Verdict, seed: u64) -> String {
    let mut text = format!("\nseed {seed}\n");
    let mut row = |name: &str, value: &str| text += &format!("  {name:<36} {value}\n");
    for (name, value) in [
        ("submitted", verdict.submitted),
        ("confirmed", verdict.confirmed),
        ("unknown to the publisher", verdict.unknown),
        ("refused", verdict.refused),
        ("done", verdict.done),
        ("failed", verdict.failed),
        ("cancelled", verdict.cancelled),
        ("expired", verdict.expired),
        ("dead letters", verdict.dead_letters),
        ("dead letters doubled", verdict.letters_doubled),
        ("starts", verdict.starts),
        ("faults", verdict.faults.values().sum()),
        ("kinds of faults", verdict.faults.len()),
    ] {
        row(name, &value.to_string());
    }
    for (cause, times) in &verdict.duplicated_with_cause {
        row(&format!("duplicated: {cause}"), &times.to_string());
    }
    for (breach, name) in BREACHES {
        row(name, &verdict.breaches.get(&breach).copied().unwrap_or_default().to_string());
    }
    row("nodes restarted that handed nothing on", &verdict.nodes_restarted.to_string());
    row("unacked at the end", &verdict.unacked_at_the_end.to_string());
    for (kind, recovery) in &verdict.recovery {
        let times = format!("p50 {} ms, p99 {} ms of {}", recovery.p50, recovery.p99, recovery.measured);
        row(&format!("recovery: {kind}"), &times);
    }
    for (process, kilobytes) in verdict.memory.iter().filter(|(_, kilobytes)| kilobytes.len() > 1) {
        row(&format!("memory of {process}"), &format!("{kilobytes:?} kB"));
    }
    let least = verdict.fault_times.iter().map(|fault| fault.in_flight).min();
    row("least in flight at a fault", &least.map_or("-".into(), |least| least.to_string()));
    for shortfall in &verdict.shortfalls {
        row("does not count", shortfall);
    }
    let word = match (verdict.findings.is_empty(), verdict.counts()) {
        (true, true) => "holds",
        (true, false) => "nothing was broken, but the run does not count",
        (false, _) => "BROKEN",
    };
    row("verdict", word);
    text
}

fn timelines(verdict: &Verdict, history: &History, most: usize) -> String {
    let mut text = String::new();
    for finding in verdict.findings.iter().take(most) {
        let of = finding.tags.first().map_or("-", |tag| tag);
        let _ = writeln!(text, "\n{:?} {of}: {}", finding.breach, finding.text);
        let began = history.lines.first().map(|line| line.at).unwrap_or_default();
        for tag in &finding.tags {
            let _ = writeln!(text, "  {tag}");
            for Line { at, process, event, .. } in history.timeline(tag) {
                let _ = writeln!(text, "  {:>10.3} {process:<16} {event:?}", at.since(began).as_secs_f64());
            }
        }
    }
    match verdict.findings.len().saturating_sub(most) {
        0 => text,
        more => text + &format!("\nand {more} more: timelines.txt has them all\n"),
    }
}
