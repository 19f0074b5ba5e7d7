//! Tables, in Markdown.

use super::Report;
use crate::{
    contest::Contest,
    stage::LEFT,
    stats::Quartiles,
    targets::{Row, SLACK, Wanted, known},
};
use std::fmt::Write as _;

/// What of a contest is shown, with its heading and its digits.
const FIGURES: [(&str, &str, usize); 18] = [
    ("per second", "per second", 0),
    ("publisher cpu", "publisher CPU s", 3),
    ("worker cpu", "worker CPU s", 3),
    ("rabbitmq cpu", "RabbitMQ CPU s", 3),
    ("redis cpu", "Redis CPU s", 3),
    ("round trip p50", "p50 ms", 3),
    ("round trip p99", "p99 ms", 3),
    ("queueing p50", "queueing p50 ms", 2),
    ("queueing p99", "queueing p99 ms", 2),
    ("queueing p99.9", "queueing p99.9 ms", 2),
    ("end to end p50", "end to end p50 ms", 2),
    ("end to end p99", "end to end p99 ms", 2),
    ("end to end p99.9", "end to end p99.9 ms", 2),
    ("last store after ms", "last store, ms", 1),
    ("last result after ms", "last result, ms", 1),
    ("memory MiB", "memory MiB", 1),
    ("% of a core", "% of a core", 2),
    (LEFT, "done and not acknowledged, in all", 0),
];

pub(super) fn of(report: &Report) -> String {
    let mut text = format!(
        "taskq {} · RabbitMQ {} · Redis {} · {} · {} rounds\n",
        report.taskq, report.rabbitmq, report.redis, report.machine, report.rounds
    );
    if report.quick {
        text += "\nA quick run: it shows that everything works. Its figures mean nothing.\n";
    }
    text += &verdict(report);
    text += &floors(report);
    for contest in &report.findings.contests {
        text += &runs(contest);
    }
    for curve in &report.findings.curves {
        text += &points(curve);
    }
    for failure in &report.failures {
        let _ = writeln!(text, "\nnot measured: {failure}");
    }
    text
}

fn verdict(report: &Report) -> String {
    let mut text = "\n## Targets\n\n| work | floor | target | median | quartiles | runs | |\n".to_owned();
    text += "|---|---|---:|---:|---:|---:|---|\n";
    for row in &report.findings.rows {
        let Row { work, floor, unit, wanted, measured, count } = row;
        let target = match wanted {
            Wanted::AtLeast(least) => format!("at least {least} {unit}"),
            Wanted::AtMost(most) => format!("at most {most} {unit}"),
            Wanted::Within(most) => format!("within ±{most} {unit}"),
            Wanted::Nothing => String::new(),
        };
        let verdict = match wanted.is_met(measured.median) {
            _ if report.quick => "",
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let Quartiles { lower, median, upper } = measured;
        let _ = writeln!(
            text,
            "| {work} | {floor} | {} | {median:.2} {unit} | {lower:.2} - {upper:.2} | {count} | {verdict} |",
            target.trim_end()
        );
    }
    text
}

/// Whether the floors are as strong as they are known to be.
fn floors(report: &Report) -> String {
    let mut text = String::new();
    for contest in &report.findings.contests {
        for contender in &contest.contenders {
            let (Some(known), Some(rate)) =
                (known(&contest.name, contender), contest.quartiles(contender, "per second"))
            else {
                continue;
            };
            let reached = if rate.median >= SLACK * known.from { "yes" } else { "**no**" };
            let reached = if report.quick { "" } else { reached };
            let _ = writeln!(
                text,
                "| {} | {contender} | {} - {} | {:.0} | {:.0} - {:.0} | {reached} |",
                contest.name, known.from, known.to, rate.median, rate.lower, rate.upper
            );
        }
    }
    if text.is_empty() {
        return text;
    }
    let head = "\n## Floors\n\nWhether each reaches what it is known to reach, within 30 %: a weak floor makes strong \
                ratios.\n\n| work | floor | known, per second | here | quartiles | |\n|---|---|---:|---:|---:|---|\n";
    head.to_owned() + &text
}

/// The medians of all contenders.
fn runs(contest: &Contest) -> String {
    let is_shown = |figure: &str| {
        let mut values = contest.contenders.iter().flat_map(|contender| contest.values(contender, figure));
        values.any(|value| figure != LEFT || value > 0.0)
    };
    let shown: Vec<_> = FIGURES.into_iter().filter(|(figure, ..)| is_shown(figure)).collect();
    let headings: Vec<&str> = shown.iter().map(|(_, heading, _)| *heading).collect();
    let mut text = format!("\n### {}\n\n| | {} |\n", contest.name, headings.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(shown.len()));
    for contender in &contest.contenders {
        let cells: Vec<String> =
            shown.iter().map(|(figure, _, digits)| cell(contest, contender, figure, *digits)).collect();
        let _ = writeln!(text, "| {contender} | {} |", cells.join(" | "));
    }
    text
}

/// The rate with its quartiles, everything else without.
fn cell(contest: &Contest, contender: &str, figure: &str, digits: usize) -> String {
    match contest.quartiles(contender, figure) {
        None => String::new(),
        Some(Quartiles { lower, median, upper }) if figure == "per second" => {
            format!("{median:.0} ({lower:.0} - {upper:.0})")
        }
        // Rare, and never to be passed over.
        Some(_) if figure == LEFT => format!("{:.0}", contest.values(contender, figure).iter().sum::<f64>()),
        Some(Quartiles { median, .. }) => format!("{median:.digits$}"),
    }
}

fn points(curve: &crate::findings::Curve) -> String {
    let Some([floor, ours]) = curve.points.first().and_then(|point| point.contest.contenders.first_chunk()) else {
        return String::new();
    };
    let mut text =
        format!("\n### {}\n\n| {} | {floor}, per second | {ours}, per second | ratio |\n", curve.name, curve.axis);
    text += "|---:|---:|---:|---:|\n";
    for point in &curve.points {
        let cells = [floor, ours].map(|contender| cell(&point.contest, contender, "per second", 0));
        let ratio = Quartiles::of(&point.contest.ratios("per second", ours, floor));
        let ratio = ratio.map(|ratio| format!("{:.2} ({:.2} - {:.2})", ratio.median, ratio.lower, ratio.upper));
        let _ = writeln!(text, "| {} | {} | {} |", point.at, cells.join(" | "), ratio.unwrap_or_default());
    }
    text
}
