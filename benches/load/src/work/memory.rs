//! Memory: of a worker that has nothing to do, and of tasks that sleep.

use crate::{
    contest::{Contender, Contest},
    findings::Findings,
    player::Player,
    procfs,
    protocol::{Figures, Kind, Role, Side, Task},
    setting::Setting,
    stage::Stage,
    targets::{
        Row,
        Wanted::{AtMost, Nothing},
    },
};
use anyhow::{Context, Result};
use futures_util::FutureExt;
use std::time::Duration;
use tokio::time::sleep;

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

/// After a process has begun, or has taken what it holds.
const SETTLE: Duration = Duration::from_secs(1);

/// Bytes of text in each task that sleeps.
const TEXT: usize = 100;

/// The body of such a task: a map of two, their names, a number and the text, at most.
const BODY: f64 = (TEXT + 15) as f64;

pub(crate) async fn measure(setting: &Setting) -> Result<Findings> {
    let mut findings = idle(setting).await?;
    for tasks in &setting.amounts.sleepers {
        findings.add(asleep(setting, *tasks).await?);
    }
    Ok(findings)
}

async fn idle(setting: &Setting) -> Result<Findings> {
    let stage = &Stage::set(setting, Kind::Quorum).await?;
    let contender = |name, side| Contender::new(name, move || rest(stage, side).boxed());
    let held = [contender("raw", Side::Floor), contender("taskq", Side::Taskq)];
    // What is at rest hardly differs from round to round.
    let contest = Contest::hold("idle worker", setting.rounds.min(3), &held).await?;
    stage.strike().await?;
    let row = |what, contender: &str, figure, unit, wanted| {
        Row::of(format!("idle worker: {what}"), "", unit, wanted, &contest.values(contender, figure))
    };
    let rows = [
        row("memory", "taskq", "memory MiB", "MiB", AtMost(12.0)),
        row("two raw connections and Redis", "raw", "memory MiB", "MiB", Nothing),
        row("CPU", "taskq", "% of a core", "% of a core", AtMost(0.3)),
        row("CPU of two raw connections and Redis", "raw", "% of a core", "% of a core", Nothing),
    ];
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}

async fn rest(stage: &Stage<'_>, side: Side) -> Result<Figures> {
    let mut player = Player::start(&stage.place, Role::Idle { side }).await?;
    sleep(SETTLE).await;
    player.go().await?;
    sleep(stage.setting.amounts.idle).await;
    let memory = memory_of(&player)?;
    player.stop().await?;
    let report = player.done().await?;
    Ok([("memory MiB".into(), memory / MIB), ("% of a core".into(), 100.0 * report.cpu / report.seconds)].into())
}

fn memory_of(player: &Player) -> Result<f64> {
    let bytes = player.pid().and_then(procfs::memory).context("the system does not show the memory of a process")?;
    Ok(bytes as f64)
}

async fn asleep(setting: &Setting, tasks: u64) -> Result<Findings> {
    let held = [Contender::new("taskq", move || sleep_all(setting, tasks).boxed())];
    let contest = Contest::hold(format!("{tasks} sleeping tasks"), setting.rounds.min(3), &held).await?;
    let values = |figure| contest.values("taskq", figure);
    let rows = [
        Row::of(
            format!("{tasks} sleeping tasks: memory of each beyond its body"),
            "",
            "KiB",
            AtMost(1.5),
            &values("KiB each"),
        ),
        Row::of(format!("{tasks} sleeping tasks: memory in all"), "", "MiB", Nothing, &values("memory MiB")),
        Row::of(format!("{tasks} sleeping tasks: CPU"), "", "% of a core", Nothing, &values("% of a core")),
    ];
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}

async fn sleep_all(setting: &Setting, tasks: u64) -> Result<Figures> {
    let stage = Stage::set_with(setting, Kind::Quorum, 1, TEXT).await?;
    let mut player = Player::start(&stage.place, Role::Sleep { tasks }).await?;
    player.go().await?;
    sleep(SETTLE).await;
    let empty = memory_of(&player)?;
    stage.fill(Task::Sleeps, tasks).await?;
    player.done().await?;
    sleep(SETTLE).await;
    let pid = player.pid().context("the worker is gone")?;
    let (full, cpu) = (memory_of(&player)?, procfs::cpu(pid).context("no CPU time")?);
    sleep(setting.amounts.idle).await;
    let busy = (procfs::cpu(pid).context("no CPU time")? - cpu) / setting.amounts.idle.as_secs_f64();
    // Its tasks go back to the queue, which is deleted.
    drop(player);
    stage.strike().await?;
    Ok([
        ("KiB each".into(), ((full - empty) / tasks as f64 - BODY) / KIB),
        ("memory MiB".into(), full / MIB),
        ("% of a core".into(), 100.0 * busy),
    ]
    .into())
}
