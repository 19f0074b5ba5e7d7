//! Waiting for results: one task at a time, and many at once.

use crate::{
    amounts::CONCURRENCY,
    contest::{Contender, Contest},
    findings::Findings,
    measure::both,
    protocol::{Figures, Kind, Noting, Role, Side, Working},
    setting::Setting,
    stage::Stage,
    targets::{
        Row,
        Wanted::{AtMost, Nothing},
    },
};
use anyhow::{Context, Result};
use futures_util::FutureExt;

/// One task at a time, each to its result.
pub(crate) async fn round_trips(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        let stage = &Stage::set(setting, *kind).await?;
        let contender = |name, side| Contender::new(name, move || round_trip(stage, side).boxed());
        let held = [contender("raw", Side::Floor), contender("taskq", Side::Taskq)];
        let name = format!("idle round trip, {}", kind.name());
        let contest = Contest::hold(name, setting.rounds, &held).await?;
        let row = |what, figure, wanted| Row::ratio(&contest, what, ("taskq", "raw"), figure, wanted);
        let rows = [row("p50", "round trip p50", AtMost(1.25)), row("p99", "round trip p99", AtMost(2.0))];
        findings.put(contest, rows);
        stage.strike().await?;
    }
    Ok(findings)
}

async fn round_trip(stage: &Stage<'_>, side: Side) -> Result<Figures> {
    let publisher = Role::RoundTrip { side, tasks: stage.setting.amounts.round_trips };
    let figures = both(&stage.setting.servers, &stage.place, worker(side, None), publisher).await?;
    stage.clear().await?;
    Ok(figures)
}

fn worker(side: Side, tasks: Option<u64>) -> Role {
    let how = if side == Side::Floor { Working::Together } else { Working::Taskq };
    Role::Work { how, concurrency: CONCURRENCY, tasks, noting: Noting::Settlements }
}

/// Many tasks, all waited for at once.
pub(crate) async fn handles(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        findings.add(handles_on(setting, *kind).await?);
    }
    Ok(findings)
}

async fn handles_on(setting: &Setting, kind: Kind) -> Result<Findings> {
    let stage = &Stage::set(setting, kind).await?;
    let contender = |name, side| Contender::new(name, move || wait_for_all(stage, side).boxed());
    let held = [contender("raw", Side::Floor), contender("taskq", Side::Taskq)];
    let name = format!("{} handles at once, {}", setting.amounts.handles, kind.name());
    let contest = Contest::hold(name, setting.rounds, &held).await?;
    let last = |of: &str| contest.values(of, "last result / last store");
    let rows = [
        Row::of(format!("{}: the last result", contest.name), "the last store", "x", AtMost(1.1), &last("taskq")),
        Row::of(format!("{}: the last result, raw", contest.name), "the last store, raw", "x", Nothing, &last("raw")),
        Row::ratio(&contest, "until the last result", ("taskq", "raw"), "last result after ms", Nothing),
    ];
    stage.strike().await?;
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}

/// How long after the first task began the last result was stored, and was known to its caller.
async fn wait_for_all(stage: &Stage<'_>, side: Side) -> Result<Figures> {
    let tasks = stage.setting.amounts.handles;
    let publisher = Role::Handles { side, tasks };
    // All tasks are published and waited for before the worker has its cue.
    let mut figures = both(&stage.setting.servers, &stage.place, worker(side, Some(tasks)), publisher).await?;
    let moment = |name: &str| figures.get(name).copied().with_context(|| format!("no {name}"));
    let (first, stored, known) = (moment("first handled")?, moment("last settled")?, moment("last result")?);
    figures.insert("last store after ms".into(), (stored - first) / 1e6);
    figures.insert("last result after ms".into(), (known - first) / 1e6);
    figures.insert("last result / last store".into(), (known - first) / (stored - first));
    stage.end_run(&mut figures).await?;
    Ok(figures)
}
