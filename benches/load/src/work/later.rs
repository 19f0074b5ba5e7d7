//! Tasks for later: delayed by their callers, and retries.

use crate::{
    amounts::{CALLERS, CONCURRENCY},
    contest::{Contender, Contest},
    findings::Findings,
    measure::{self, Part},
    protocol::{Figures, Kind, Noting, Publishing, Role, Task, Working},
    setting::Setting,
    stage::Stage,
    targets::{
        Row,
        Wanted::{AtLeast, Nothing},
    },
};
use anyhow::{Context, Result};
use futures_util::FutureExt;
use std::{cell::RefCell, time::Duration};

/// What a server may take, beyond the delay, to let everything go that is due.
const PATIENCE: Duration = Duration::from_secs(120);

fn patience(setting: &Setting) -> Duration {
    Duration::from_millis(setting.amounts.delay_millis) + PATIENCE
}

pub(crate) async fn delayed(setting: &Setting) -> Result<Findings> {
    // The levels are quorum queues, whatever the queue is that their messages are for.
    let stage = &Stage::set(setting, Kind::Quorum).await?;
    let contender = |name, how| Contender::new(name, move || delay(stage, how).boxed());
    let held = [
        contender("raw, 100 in flight", Publishing::Floor { in_flight: CALLERS }),
        contender("taskq, 100 callers", Publishing::Callers(CALLERS as u64)),
    ];
    let contest = Contest::hold("delayed tasks submitted", setting.rounds, &held).await?;
    // What is in the levels must not come to a queue that is gone.
    let published = (2 * setting.amounts.delayed + 1) * setting.rounds as u64;
    stage.wait_for(published, patience(setting)).await?;
    stage.strike().await?;
    let pair = ("taskq, 100 callers", "raw, 100 in flight");
    let row = Row::ratio(&contest, "", pair, "per second", AtLeast(0.9));
    let mut findings = Findings::default();
    findings.put(contest, [row]);
    Ok(findings)
}

async fn delay(stage: &Stage<'_>, how: Publishing) -> Result<Figures> {
    let amounts = &stage.setting.amounts;
    let role = Role::Publish { how, task: Task::Kept, tasks: amounts.delayed, delay_millis: amounts.delay_millis };
    measure::alone(&stage.setting.servers, &stage.place, role, Part::Publisher).await
}

pub(crate) async fn retries(setting: &Setting) -> Result<Findings> {
    // Each run has a queue of its own: what comes back is not for the next one.
    let mut stages = Vec::new();
    for _ in 0..3 * setting.rounds {
        stages.push(Stage::set(setting, Kind::Quorum).await?);
    }
    let next = &RefCell::new(stages.iter());
    let contender = |name, how| {
        Contender::new(name, move || {
            let stage = next.borrow_mut().next();
            async move { retry(stage.context("there are too few queues")?, how).await }.boxed()
        })
    };
    let held = [
        contender("raw", Working::Retries),
        contender("taskq, no results", Working::TaskqWithoutResults),
        contender("taskq", Working::Taskq),
    ];
    let contest = Contest::hold("retries", setting.rounds, &held).await?;
    for stage in &stages {
        stage.wait_for(setting.amounts.retries, patience(setting)).await?;
        stage.strike().await?;
    }
    let rows = [
        Row::ratio(&contest, "", ("taskq, no results", "raw"), "per second", Nothing),
        Row::ratio(&contest, "with results", ("taskq", "raw"), "per second", Nothing),
    ];
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}

/// Tasks that fail at first, until their copies are confirmed.
async fn retry(stage: &Stage<'_>, how: Working) -> Result<Figures> {
    let tasks = stage.setting.amounts.retries;
    stage.fill(Task::Fails, tasks).await?;
    let role = Role::Work { how, concurrency: CONCURRENCY, tasks: Some(tasks), noting: Noting::Nothing };
    measure::alone(&stage.setting.servers, &stage.place, role, Part::Worker).await
}
