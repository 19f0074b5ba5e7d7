//! How rates change: with the length of the backlog, the size of bodies, the concurrency, and the number of queues.

use super::drain::drain;
use crate::{
    amounts::{CALLERS, CONCURRENCY},
    contest::{Contender, Contest},
    findings::{Curve, Findings, Point},
    measure::{self, Part},
    protocol::{Figures, Kind, Noting, Publishing, Role, Task, Working},
    setting::Setting,
    stage::Stage,
    targets::{Row, Wanted::Within},
};
use anyhow::Result;
use futures_util::FutureExt;

/// A backlog is drained by a tenth, or by so much, again and again.
const DRAINED: u64 = 10;
const LEAST_DRAINED: u64 = 5_000;
const MOST_DRAINED: u64 = 50_000;

/// Tasks that a worker with one slot can do in bounded time.
const TASKS_PER_SLOT: u64 = 2_000;

/// Both sides of draining.
const SIDES: [(&str, Working); 2] = [("together", Working::Together), ("taskq", Working::Taskq)];

pub(crate) async fn backlog(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        let mut points = Vec::new();
        for length in &setting.amounts.growth.backlogs {
            points.push(Point { at: *length as f64, contest: at_length(setting, *kind, *length).await? });
        }
        let ratios = |point: &Point| point.contest.ratios("per second", "taskq", "together");
        if let [first, .., last] = points.as_slice() {
            // Not their sizes: those of noise alone, which is in both directions, would add up.
            let changes: Vec<f64> =
                ratios(last).iter().zip(ratios(first)).map(|(long, short)| long / short - 1.0).collect();
            let work = format!("backlog of {} against {}, {}", last.at, first.at, kind.name());
            findings.rows.extend(Row::of(work, "change of the ratio to together", "", Within(0.1), &changes));
        }
        findings.curves.push(curve("drain by backlog", *kind, "tasks in the queue", points));
    }
    Ok(findings)
}

fn curve(name: &str, kind: Kind, axis: &str, points: Vec<Point>) -> Curve {
    Curve { name: format!("{name}, {}", kind.name()), axis: axis.into(), points }
}

/// The rate at this length of the queue: what is taken from it is put back after each run.
async fn at_length(setting: &Setting, kind: Kind, length: u64) -> Result<Contest> {
    let stage = &Stage::set(setting, kind).await?;
    let drained = length.min((length / DRAINED).clamp(LEAST_DRAINED, MOST_DRAINED));
    stage.fill(Task::Kept, length).await?;
    let contender = |name, how| Contender::new(name, move || drain_a_part(stage, how, length, drained).boxed());
    let contest = Contest::hold(
        format!("drain from {length}, {}", kind.name()),
        setting.rounds,
        &SIDES.map(|(name, how)| contender(name, how)),
    )
    .await?;
    stage.strike().await?;
    Ok(contest)
}

async fn drain_a_part(stage: &Stage<'_>, how: Working, length: u64, tasks: u64) -> Result<Figures> {
    let role = Role::Work { how, concurrency: CONCURRENCY, tasks: Some(tasks), noting: Noting::Nothing };
    let figures = measure::alone(&stage.setting.servers, &stage.place, role, Part::Worker).await?;
    stage.setting.forget_results().await?;
    // What a worker held when it ended comes again, and a worker looks closely at that: it is not to be measured.
    stage.skim(2 * 2 * CONCURRENCY).await?;
    stage.fill(Task::Kept, length - stage.ready().await?.min(length)).await?;
    Ok(figures)
}

pub(crate) async fn body(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        let (mut published, mut drained) = (Vec::new(), Vec::new());
        for text in &setting.amounts.growth.bodies {
            let stage = &Stage::set_with(setting, *kind, 1, *text).await?;
            let (at, tasks) = (*text as f64, tasks_of(setting, *text));
            let publish = |name, how| Contender::new(name, move || publish(stage, how, tasks).boxed());
            let held = [
                publish("raw", Publishing::Floor { in_flight: CALLERS }),
                publish("taskq", Publishing::Callers(CALLERS as u64)),
            ];
            let name = format!("publish bodies of {text} B, {}", kind.name());
            published.push(Point { at, contest: Contest::hold(name, setting.rounds, &held).await? });
            stage.clear().await?;
            let work =
                |name, how| Contender::new(name, move || drain(stage, how, Task::Kept, tasks, CONCURRENCY).boxed());
            let name = format!("drain bodies of {text} B, {}", kind.name());
            let held = SIDES.map(|(name, how)| work(name, how));
            drained.push(Point { at, contest: Contest::hold(name, setting.rounds, &held).await? });
            stage.strike().await?;
        }
        findings.curves.push(curve("publish by body", *kind, "bytes of body", published));
        findings.curves.push(curve("drain by body", *kind, "bytes of body", drained));
    }
    Ok(findings)
}

fn tasks_of(setting: &Setting, text: usize) -> u64 {
    let growth = &setting.amounts.growth;
    ((growth.bytes / text.max(1)) as u64).clamp(20, growth.tasks)
}

async fn publish(stage: &Stage<'_>, how: Publishing, tasks: u64) -> Result<Figures> {
    stage.clear().await?;
    let role = Role::Publish { how, task: Task::Kept, tasks, delay_millis: 0 };
    measure::alone(&stage.setting.servers, &stage.place, role, Part::Publisher).await
}

pub(crate) async fn concurrency(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        let mut points = Vec::new();
        for at_once in setting.amounts.growth.concurrencies.iter().copied() {
            let stage = &Stage::set(setting, *kind).await?;
            let tasks = setting.amounts.growth.tasks.min(TASKS_PER_SLOT * at_once as u64);
            let contender =
                |name, how| Contender::new(name, move || drain(stage, how, Task::Kept, tasks, at_once).boxed());
            let held = SIDES.map(|(name, how)| contender(name, how));
            let name = format!("drain by {at_once} at once, {}", kind.name());
            points.push(Point { at: at_once as f64, contest: Contest::hold(name, setting.rounds, &held).await? });
            stage.strike().await?;
        }
        findings.curves.push(curve("drain by concurrency", *kind, "tasks at once", points));
    }
    Ok(findings)
}

pub(crate) async fn queues(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        let mut points = Vec::new();
        for queues in setting.amounts.growth.queues.iter().copied() {
            let stage = &Stage::set_with(setting, *kind, queues, 0).await?;
            let tasks = setting.amounts.growth.tasks;
            let contender =
                |name, how| Contender::new(name, move || drain(stage, how, Task::Kept, tasks, CONCURRENCY).boxed());
            let held = SIDES.map(|(name, how)| contender(name, how));
            let name = format!("drain {queues} queues, {}", kind.name());
            points.push(Point { at: queues as f64, contest: Contest::hold(name, setting.rounds, &held).await? });
            stage.strike().await?;
        }
        findings.curves.push(curve("drain by queues", *kind, "queues", points));
    }
    Ok(findings)
}
