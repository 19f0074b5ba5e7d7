//! Callers who wait for results through taskq.

use super::{
    app::{Results, app},
    tasks::kept,
};
use crate::{
    clock,
    distribution::Distribution,
    pace::Schedule,
    protocol::{Place, Report},
    role::cue::Cue,
};
use anyhow::Result;
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::time::Duration;
use taskq::prelude::*;
use tokio::task::JoinSet;

/// So long all waits of a process take to be entered.
const ENTERED: Duration = Duration::from_millis(700);

/// One task at a time, each to its result.
pub(crate) async fn round_trips(place: &Place, tasks: u64, mut cue: Cue) -> Result<Report> {
    let app = app(place, Results::Kept);
    app.startup().await?;
    let mut took = Distribution::new()?;
    let watch = cue.ready().await?;
    for n in 0..tasks {
        let began = clock::now();
        kept(n).kiq().on(&app).await?.wait_result().await?.into_value()?;
        took.record(clock::now() - began);
    }
    let mut report = watch.report(tasks);
    took.put("round trip", &mut report.figures);
    app.shutdown().await?;
    Ok(report)
}

/// Many tasks, all waited for at once.
pub(crate) async fn handles(place: &Place, tasks: u64, mut cue: Cue) -> Result<Report> {
    let app = app(place, Results::Kept);
    app.startup().await?;
    let handles = app.kiq_many((0..tasks).map(kept)).await?;
    let mut waiting = JoinSet::new();
    for handle in handles {
        waiting.spawn(async move { handle.wait_result().await });
    }
    tokio::time::sleep(ENTERED).await;
    let watch = cue.ready().await?;
    while let Some(ended) = waiting.join_next().await {
        ended??.into_value()?;
    }
    let mut report = watch.report(tasks);
    report.figures.insert("last result".into(), clock::now() as f64);
    app.shutdown().await?;
    Ok(report)
}

/// As the schedule has it, whatever becomes of what was published before.
pub(crate) async fn pace(place: &Place, schedule: Schedule, mut cue: Cue) -> Result<Report> {
    let app = app(place, Results::Kept);
    app.startup().await?;
    let mut took = Distribution::new()?;
    let watch = cue.ready().await?;
    let mut due = schedule.start();
    let mut on_their_way = FuturesUnordered::new();
    let mut is_over = false;
    while !is_over || !on_their_way.is_empty() {
        tokio::select! {
            next = due.recv(), if !is_over => {
                let Some((number, intended)) = next else { is_over = true; continue };
                on_their_way.push(call(&app, intended, schedule.is_waited_for(number)));
            }
            Some(ended) = on_their_way.next() => {
                if let Some(nanos) = ended? {
                    took.record(nanos);
                }
            }
        }
    }
    let mut report = watch.report(schedule.tasks);
    took.put("end to end", &mut report.figures);
    app.shutdown().await?;
    Ok(report)
}

/// Publishes one task and, if it is to be waited for, says how long after the intended moment its result came.
async fn call(app: &App, intended: u64, is_waited_for: bool) -> Result<Option<u64>> {
    let handle = kept(intended).kiq().on(app).await?;
    if !is_waited_for {
        return Ok(None);
    }
    handle.wait_result().await?.into_value()?;
    Ok(Some(clock::now() - intended))
}
