//! Publisher and worker at the same time: first as fast as they go, then at a fixed share of that.

use crate::{
    amounts::{CALLERS, CONCURRENCY},
    contest::{Contender, Contest},
    findings::Findings,
    measure::both,
    protocol::{Figures, Kind, Noting, Publishing, Role, Side, Task, Working},
    setting::Setting,
    stage::Stage,
    targets::{
        Row,
        Wanted::{AtMost, Nothing},
    },
};
use anyhow::{Context, Result};
use futures_util::FutureExt;

/// The result of every so manieth task is waited for: enough for a p99.9, and few enough not to be what is measured.
const WAITED_FOR: u64 = 10;

/// The shares of taskq's capacity at which delays are measured, in per cent.
const LOADS: [u32; 2] = [50, 80];

pub(crate) async fn measure(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        let stage = &Stage::set(setting, *kind).await?;
        let capacity = capacity(stage, *kind).await?;
        let most = capacity.quartiles("taskq", "per second").context("the capacity is not known")?.median;
        let row = Row::ratio(&capacity, "", ("taskq", "raw"), "per second", Nothing);
        findings.put(capacity, [row]);
        for load in LOADS {
            findings.add(at_rate(stage, *kind, load, most * f64::from(load) / 100.0).await?);
        }
        stage.strike().await?;
    }
    Ok(findings)
}

/// Both sides as fast as they go.
async fn capacity(stage: &Stage<'_>, kind: Kind) -> Result<Contest> {
    let contender = |name, side| Contender::new(name, move || closed_loop(stage, side).boxed());
    let held = [contender("raw", Side::Floor), contender("taskq", Side::Taskq)];
    Contest::hold(format!("closed loop, {}", kind.name()), stage.setting.rounds, &held).await
}

async fn closed_loop(stage: &Stage<'_>, side: Side) -> Result<Figures> {
    let tasks = stage.setting.amounts.published;
    let (how, worker) = match side {
        Side::Floor => (Publishing::Floor { in_flight: CALLERS }, Working::Together),
        Side::Taskq => (Publishing::Callers(CALLERS as u64), Working::Taskq),
    };
    let worker = Role::Work { how: worker, concurrency: CONCURRENCY, tasks: Some(tasks), noting: Noting::Nothing };
    let publisher = Role::Publish { how, task: Task::Kept, tasks, delay_millis: 0 };
    let mut figures = both(&stage.setting.servers, &stage.place, worker, publisher).await?;
    stage.end_run(&mut figures).await?;
    Ok(figures)
}

async fn at_rate(stage: &Stage<'_>, kind: Kind, load: u32, per_second: f64) -> Result<Findings> {
    let contender = |name, side| Contender::new(name, move || open_loop(stage, side, per_second).boxed());
    let held = [contender("raw", Side::Floor), contender("taskq", Side::Taskq)];
    let name = format!("open loop at {load} %, {}", kind.name());
    let contest = Contest::hold(name, stage.setting.rounds, &held).await?;
    let row = |what: &str, figure, wanted| Row::ratio(&contest, what, ("taskq", "raw"), figure, wanted);
    let rows = [
        row("end-to-end p99", "end to end p99", AtMost(1.5)),
        row("end-to-end p50", "end to end p50", Nothing),
        row("queueing p99", "queueing p99", Nothing),
    ];
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}

async fn open_loop(stage: &Stage<'_>, side: Side, per_second: f64) -> Result<Figures> {
    let tasks = (per_second * stage.setting.amounts.steady.as_secs_f64()) as u64;
    let how = if side == Side::Floor { Working::Together } else { Working::Taskq };
    let worker = Role::Work { how, concurrency: CONCURRENCY, tasks: None, noting: Noting::Waits };
    let publisher = Role::Pace { side, per_second, tasks, waited_for: WAITED_FOR };
    let mut figures = both(&stage.setting.servers, &stage.place, worker, publisher).await?;
    figures.insert("per second".into(), per_second);
    stage.clear().await?;
    Ok(figures)
}
