//! Working through taskq.

use super::{
    app::{Results, app},
    tasks::asleep,
};
use crate::{
    clock,
    meter::Meter,
    protocol::{Noting, Place, Report, Told},
    role::cue::{Cue, tell},
};
use anyhow::Result;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use taskq::{Event, Observer, prelude::*};

/// How often sleepers are counted.
const LOOK: Duration = Duration::from_millis(50);

/// When a task was last settled.
#[derive(Clone, Default)]
struct LastSettled(Arc<AtomicU64>);

impl Observer for LastSettled {
    fn on(&self, event: &Event<'_>) {
        if let Event::Settled { .. } = event {
            self.0.fetch_max(clock::now(), Ordering::Relaxed);
        }
    }
}

/// A worker, until the meter's target is reached or the cue says stop.
pub(crate) async fn work(
    place: &Place,
    results: Results,
    concurrency: usize,
    noting: Noting,
    meter: &'static Meter,
    mut cue: Cue,
) -> Result<Report> {
    let settled = LastSettled::default();
    let app = match noting {
        Noting::Settlements => app(place, results).with_observer(settled.clone()),
        Noting::Nothing | Noting::Waits => app(place, results),
    };
    app.startup().await?;
    let watch = cue.ready().await?;
    let until = async {
        tokio::select! {
            () = meter.reached() => Ok(()),
            stopped = cue.stop() => stopped,
        }
    };
    worker(&app, place, concurrency).run_until(until).await?;
    // Only now all acks are told and the channel is closed.
    app.shutdown().await?;
    let mut report = watch.report_since(meter.first(), meter.handled());
    meter.note(settled.0.load(Ordering::Relaxed), &mut report.figures);
    Ok(report)
}

/// As many at once in all, over however many queues.
fn worker(app: &App, place: &Place, concurrency: usize) -> taskq::Worker {
    let each = concurrency.div_ceil(place.queues.len());
    place.queues.iter().fold(app.worker(), |worker, queue| worker.queue_with(queue, each))
}

/// A worker with nothing to do.
pub(crate) async fn idle(place: &Place, mut cue: Cue) -> Result<Report> {
    let app = app(place, Results::Kept);
    app.startup().await?;
    let working = tokio::spawn(app.worker().run_until(std::future::pending::<()>()));
    let watch = cue.ready().await?;
    cue.stop().await?;
    working.abort();
    Ok(watch.report(0))
}

/// A worker that tells when so many of its tasks sleep, and goes on.
pub(crate) async fn sleep(place: &Place, tasks: u64, mut cue: Cue) -> Result<Report> {
    let app = app(place, Results::Kept);
    app.startup().await?;
    let working = tokio::spawn(worker(&app, place, usize::try_from(tasks)?).run_until(std::future::pending::<()>()));
    let watch = cue.ready().await?;
    while asleep() < tasks && !working.is_finished() {
        tokio::time::sleep(LOOK).await;
    }
    tell(&Told::Done(watch.report(asleep())))?;
    cue.stop().await?;
    working.abort();
    Ok(watch.report(tasks))
}
