//! Draining a backlog, with results and without.

use crate::{
    amounts::CONCURRENCY,
    contest::{Contender, Contest},
    findings::Findings,
    measure::{self, Part},
    protocol::{Figures, Kind, Noting, Role, Task, Threads, Working},
    setting::Setting,
    stage::Stage,
    targets::{
        Row,
        Wanted::{AtLeast, AtMost, Nothing},
    },
};
use anyhow::Result;
use futures_util::FutureExt;

const ONE_BY_ONE: &str = "one by one";
const ONE_THREAD: &str = "one by one, one thread";
const TOGETHER: &str = "together";
const ACKS: &str = "acks with multiple, no work";
const TASKQ: &str = "taskq";

pub(crate) async fn measure(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        let stage = &Stage::set(setting, *kind).await?;
        findings.add(with_results(stage, *kind).await?);
        findings.add(without_results(stage, *kind).await?);
        stage.strike().await?;
    }
    Ok(findings)
}

async fn with_results(stage: &Stage<'_>, kind: Kind) -> Result<Findings> {
    let contender = |name, how| Contender::new(name, move || backlog(stage, how, Task::Kept).boxed());
    let held = [
        contender(ONE_BY_ONE, Working::OneByOne(Threads::Default)),
        contender(TASKQ, Working::Taskq),
        contender(TOGETHER, Working::Together),
        contender("shape", Working::Shape),
        contender(ONE_THREAD, Working::OneByOne(Threads::One)),
    ];
    let name = format!("drain with results, {}", kind.name());
    let contest = Contest::hold(name, stage.setting.rounds, &held).await?;
    let (to_together, to_one_by_one) = if kind == Kind::Quorum { (0.75, 1.5) } else { (0.65, 1.3) };
    let rate = |to, wanted| Row::ratio(&contest, "", (TASKQ, to), "per second", wanted);
    let cpu = |to, wanted| Row::ratio(&contest, "worker CPU per task", (TASKQ, to), "worker cpu", wanted);
    let rows = [
        rate(TOGETHER, AtLeast(to_together)),
        rate(ONE_BY_ONE, AtLeast(to_one_by_one)),
        rate(ONE_THREAD, Nothing),
        rate("shape", Nothing),
        cpu(ONE_BY_ONE, AtMost(0.75)),
        cpu(TOGETHER, AtMost(2.5)),
        cpu(ONE_THREAD, Nothing),
        cpu("shape", Nothing),
    ];
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}

async fn without_results(stage: &Stage<'_>, kind: Kind) -> Result<Findings> {
    let contender = |name, how| Contender::new(name, move || backlog(stage, how, Task::Forgotten).boxed());
    let held = [contender(ACKS, Working::Acks), contender(TASKQ, Working::TaskqWithoutResults)];
    let name = format!("drain without results, {}", kind.name());
    let contest = Contest::hold(name, stage.setting.rounds, &held).await?;
    let rows = [
        Row::ratio(&contest, "", (TASKQ, ACKS), "per second", AtLeast(0.6)),
        Row::ratio(&contest, "worker CPU per task", (TASKQ, ACKS), "worker cpu", Nothing),
    ];
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}

async fn backlog(stage: &Stage<'_>, how: Working, task: Task) -> Result<Figures> {
    drain(stage, how, task, stage.setting.amounts.backlog, CONCURRENCY).await
}

/// Fills the queues, and measures how they are emptied.
pub(super) async fn drain(
    stage: &Stage<'_>,
    how: Working,
    task: Task,
    tasks: u64,
    concurrency: usize,
) -> Result<Figures> {
    stage.fill(task, tasks).await?;
    let role = Role::Work { how, concurrency, tasks: Some(tasks), noting: Noting::Nothing };
    let mut figures = measure::alone(&stage.setting.servers, &stage.place, role, Part::Worker).await?;
    stage.end_run(&mut figures).await?;
    Ok(figures)
}
