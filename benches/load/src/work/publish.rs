//! Publishing: one caller that awaits each, 100 at once, and many by one call.

use crate::{
    amounts::CALLERS,
    contest::{Contender, Contest},
    findings::Findings,
    measure::{self, Part},
    protocol::{Figures, Kind, Publishing, Role, Task},
    setting::Setting,
    stage::Stage,
    targets::{
        Row,
        Wanted::{AtLeast, Nothing},
    },
};
use anyhow::Result;
use futures_util::FutureExt;

pub(crate) async fn measure(setting: &Setting) -> Result<Findings> {
    let mut findings = Findings::default();
    for kind in &setting.kinds {
        findings.add(measure_on(setting, *kind).await?);
    }
    Ok(findings)
}

async fn measure_on(setting: &Setting, kind: Kind) -> Result<Findings> {
    let stage = &Stage::set(setting, kind).await?;
    let contender = |name, how, tasks| Contender::new(name, move || publish(stage, how, tasks).boxed());
    let (callers, amounts) = (CALLERS as u64, &setting.amounts);
    let held = [
        Contender::new("raw, one at a time", move || {
            publish(stage, Publishing::Floor { in_flight: 1 }, amounts.one_by_one).boxed()
        }),
        contender("taskq, one caller", Publishing::Callers(1), amounts.one_by_one),
        contender("raw, 100 in flight", Publishing::Floor { in_flight: CALLERS }, amounts.published),
        contender("taskq, 100 callers", Publishing::Callers(callers), amounts.published),
        contender("raw, 1,000 in flight", Publishing::Floor { in_flight: 1_000 }, amounts.at_once),
        contender("raw, 500 in flight", Publishing::Floor { in_flight: 500 }, amounts.at_once),
        contender("taskq, kiq_many", Publishing::Many, amounts.at_once),
        contender("shape, 100 callers", Publishing::Shape { callers }, amounts.published),
        contender("shape, 1,000 callers", Publishing::Shape { callers: 1_000 }, amounts.published),
    ];
    let contest = Contest::hold(format!("publish, {}", kind.name()), setting.rounds, &held).await?;
    let row = |what, of, to| Row::ratio(&contest, what, (of, to), "per second", AtLeast(0.95));
    let rows = [
        row("100 concurrent callers", "taskq, 100 callers", "raw, 100 in flight"),
        row("`kiq_many` of 10,000", "taskq, kiq_many", "raw, 1,000 in flight"),
        row("one caller awaiting each", "taskq, one caller", "raw, one at a time"),
        // As many as `kiq_many` has.
        Row::ratio(&contest, "`kiq_many`", ("taskq, kiq_many", "raw, 500 in flight"), "per second", Nothing),
    ];
    stage.strike().await?;
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}

async fn publish(stage: &Stage<'_>, how: Publishing, tasks: u64) -> Result<Figures> {
    stage.clear().await?;
    let role = Role::Publish { how, task: Task::Kept, tasks, delay_millis: 0 };
    measure::alone(&stage.setting.servers, &stage.place, role, Part::Publisher).await
}
