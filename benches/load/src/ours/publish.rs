//! Publishing through taskq.

use super::{
    app::{Results, app},
    tasks::{fails, forgotten, forgotten_text, kept, kept_text, sleeps},
};
use crate::{
    floor::publish::Plan,
    protocol::{Place, Report, Task},
    role::cue::Cue,
};
use anyhow::Result;
use std::time::Duration;
use taskq::{IntoKiq, Kiq, prelude::*};
use tokio::task::JoinSet;

/// `callers` callers, each awaiting each of its `kiq`s.
pub(crate) async fn by_callers(place: &Place, callers: u64, plan: Plan, mut cue: Cue) -> Result<Report> {
    let app = app(place, Results::Kept);
    app.startup().await?;
    let delay = Duration::from_millis(plan.delay_millis);
    if !delay.is_zero() {
        // The levels are declared with the first one.
        kiq(&app, plan.task, 0, "", delay).await?;
    }
    let watch = cue.ready().await?;
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let (app, text, step) = (app.clone(), "x".repeat(place.text), usize::try_from(callers)?);
        let (task, tasks) = (plan.task, plan.tasks);
        running.spawn(async move {
            for n in (caller..tasks).step_by(step) {
                kiq(&app, task, n, &text, delay).await?;
            }
            Ok::<_, taskq::KiqError>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let report = watch.report(plan.tasks);
    app.shutdown().await?;
    Ok(report)
}

/// All by one `kiq_many`.
pub(crate) async fn at_once(place: &Place, plan: Plan, mut cue: Cue) -> Result<Report> {
    let app = app(place, Results::Kept);
    app.startup().await?;
    let watch = cue.ready().await?;
    app.kiq_many((0..plan.tasks).map(kept)).await?;
    let report = watch.report(plan.tasks);
    app.shutdown().await?;
    Ok(report)
}

/// One task.
pub(crate) async fn kiq(app: &App, task: Task, n: u64, text: &str, delay: Duration) -> Result<(), taskq::KiqError> {
    match (task, text) {
        (Task::Kept, "") => hand_over(app, kept(n).into_kiq(), delay).await,
        (Task::Kept, text) => hand_over(app, kept_text(n, text.to_owned()).into_kiq(), delay).await,
        (Task::Forgotten, "") => hand_over(app, forgotten(n).into_kiq(), delay).await,
        (Task::Forgotten, text) => hand_over(app, forgotten_text(n, text.to_owned()).into_kiq(), delay).await,
        (Task::Fails, _) => hand_over(app, fails(n).into_kiq(), delay).await,
        (Task::Sleeps, text) => hand_over(app, sleeps(n, text.to_owned()).into_kiq(), delay).await,
    }
}

async fn hand_over<T: taskq::Task>(app: &App, kiq: Kiq<T>, delay: Duration) -> Result<(), taskq::KiqError> {
    match delay.is_zero() {
        true => kiq.on(app).await.map(drop),
        false => kiq.delay(delay).on(app).await.map(drop),
    }
}
