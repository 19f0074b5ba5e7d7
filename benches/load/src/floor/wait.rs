//! Raw callers who wait for results: one after the other, many at once, or as a schedule has it.

use super::{
    envelope::{Envelopes, route},
    line::{confirming, connect},
    publish::{Route, confirmed},
    waits::Waits,
};
use crate::{
    clock,
    distribution::Distribution,
    pace::Schedule,
    protocol::{Place, Report, Task},
    role::cue::Cue,
};
use anyhow::Result;
use futures_util::{StreamExt, future::try_join_all, stream::FuturesUnordered};
use lapin::{BasicProperties, Channel, Connection};

/// Publishes, and waits for what it published.
struct Caller {
    _connection: Connection,
    channel: Channel,
    waits: Waits,
    route: Route,
    envelopes: Envelopes,
}

impl Caller {
    async fn connect(place: &Place) -> Result<Self> {
        let connection = connect(place).await?;
        let channel = confirming(&connection).await?;
        let (waits, route) = (Waits::listen(place).await?, route(&place.queues[0], 0));
        Ok(Caller { _connection: connection, channel, waits, route, envelopes: Envelopes::new(place, Task::Kept, 0) })
    }

    fn next(&mut self, n: u64) -> (Vec<u8>, BasicProperties, String) {
        let (properties, id) = self.envelopes.next();
        (self.envelopes.body(n), properties, id.to_string())
    }
}

/// One task at a time, each to its result.
pub(crate) async fn round_trips(place: &Place, tasks: u64, mut cue: Cue) -> Result<Report> {
    let mut caller = Caller::connect(place).await?;
    let mut took = Distribution::new()?;
    let watch = cue.ready().await?;
    for n in 0..tasks {
        let began = clock::now();
        let (body, properties, id) = caller.next(n);
        confirmed(&caller.channel, &caller.route, body, properties).await?;
        caller.waits.enter(&id).await?.ended().await?;
        took.record(clock::now() - began);
    }
    let mut report = watch.report(tasks);
    took.put("round trip", &mut report.figures);
    Ok(report)
}

/// Many tasks, all waited for at once.
pub(crate) async fn handles(place: &Place, tasks: u64, mut cue: Cue) -> Result<Report> {
    let mut caller = Caller::connect(place).await?;
    let messages: Vec<_> = (0..tasks).map(|n| caller.next(n)).collect();
    let ids: Vec<String> = messages.iter().map(|(_, _, id)| id.clone()).collect();
    let publish = |(body, properties, _)| confirmed(&caller.channel, &caller.route, body, properties);
    try_join_all(messages.into_iter().map(publish)).await?;
    let waits = try_join_all(ids.iter().map(|id| caller.waits.enter(id))).await?;
    let watch = cue.ready().await?;
    try_join_all(waits.into_iter().map(|wait| wait.ended())).await?;
    let mut report = watch.report(tasks);
    report.figures.insert("last result".into(), clock::now() as f64);
    Ok(report)
}

/// As the schedule has it, whatever becomes of what was published before.
pub(crate) async fn pace(place: &Place, schedule: Schedule, mut cue: Cue) -> Result<Report> {
    let mut caller = Caller::connect(place).await?;
    let mut took = Distribution::new()?;
    let watch = cue.ready().await?;
    let mut due = schedule.start();
    let mut on_their_way = FuturesUnordered::new();
    let mut is_over = false;
    while !is_over || !on_their_way.is_empty() {
        tokio::select! {
            next = due.recv(), if !is_over => {
                let Some((number, intended)) = next else { is_over = true; continue };
                let (properties, id) = caller.envelopes.next();
                let body = caller.envelopes.body(intended);
                let publishing = confirmed(&caller.channel, &caller.route, body, properties);
                let waits = schedule.is_waited_for(number).then_some(&caller.waits);
                on_their_way.push(async move {
                    publishing.await?;
                    let Some(waits) = waits else { return Ok(None) };
                    waits.enter(&id.to_string()).await?.ended().await?;
                    Ok::<_, anyhow::Error>(Some(clock::now() - intended))
                });
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
    Ok(report)
}
