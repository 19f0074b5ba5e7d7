//! The shape of a worker and of a publisher, with nothing in it that a guarantee needs: what the library can hope for.

use super::{
    envelope::{Envelopes, argument, name_of},
    line::{ALL_UP_TO, close, confirming, connect, consume, id_of, ready},
    publish::{Plan, Route, confirmed},
    results::Results,
};
use crate::{
    clock,
    meter::Meter,
    protocol::{Place, Report, Task},
    role::cue::Cue,
};
use anyhow::{Result, bail};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::{Channel, Consumer, message::Delivery};
use std::{
    collections::{BTreeSet, HashMap},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

const BATCH: usize = 256;
const LIMIT: Duration = Duration::from_secs(25 * 60);

type Handler = Arc<dyn Fn(Vec<u8>) -> BoxFuture<'static, u64> + Send + Sync>;

/// A spawn, a look-up, a time limit and a panic guard per task; one task that settles.
pub(crate) async fn work(place: &Place, prefetch: u16, meter: &'static Meter, mut cue: Cue) -> Result<Report> {
    let connection = connect(place).await?;
    let channel = connection.create_channel().await?;
    let results = Results::connect(place).await?;
    let watch = cue.ready().await?;
    let deliveries = consume(&channel, &place.queues[0], prefetch).await?;
    let (handled, settling) = mpsc::channel(prefetch.into());
    let dispatching = tokio::spawn(dispatch(deliveries, meter, handled));
    let settled = settle(&channel, results, settling, meter.target()).await?;
    dispatching.abort();
    ready(&channel, &place.queues[0]).await?;
    let mut report = watch.report_since(meter.first(), meter.handled());
    meter.note(settled, &mut report.figures);
    close(connection, &[channel]).await?;
    Ok(report)
}

/// What has been handled: its tag and its task.
type Handled = (u64, String);

async fn dispatch(mut deliveries: Consumer, meter: &'static Meter, handled: mpsc::Sender<Handled>) -> Result<()> {
    let body: Handler = Arc::new(move |body| {
        async move {
            let n = argument(&body);
            meter.handle(n);
            n
        }
        .boxed()
    });
    let registry: HashMap<&str, Handler> =
        [Task::Kept, Task::Fails].map(|task| (name_of(task, 0), body.clone())).into();
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        let name = delivery.properties.kind().as_ref().map_or("", |name| name.as_str());
        let Some(handler) = registry.get(name).cloned() else { bail!("nobody knows `{name}`") };
        tokio::spawn(run(handler, delivery, handled.clone()));
    }
    Ok(())
}

async fn run(handler: Handler, delivery: Delivery, handled: mpsc::Sender<Handled>) {
    let (tag, id) = (delivery.delivery_tag, id_of(&delivery).to_owned());
    let guarded = AssertUnwindSafe(handler(delivery.data)).catch_unwind();
    if let Ok(Ok(_)) = timeout(LIMIT, guarded).await {
        // Nobody settles any more when the program ends.
        let _ = handled.send((tag, id)).await;
    }
}

/// Stores together what has been handled, and acknowledges up to the first task that has not. Says when it was done.
async fn settle(
    channel: &Channel,
    mut results: Results,
    mut handled: mpsc::Receiver<Handled>,
    tasks: u64,
) -> Result<u64> {
    let (mut batch, mut above, mut acked) = (Vec::with_capacity(BATCH), BTreeSet::new(), 0);
    while acked < tasks {
        batch.clear();
        handled.recv_many(&mut batch, BATCH).await;
        let ids: Vec<&str> = batch.iter().map(|(_, id)| id.as_str()).collect();
        results.store_all(&ids).await?;
        above.extend(batch.iter().map(|(tag, _)| *tag));
        let before = acked;
        while above.remove(&(acked + 1)) {
            acked += 1;
        }
        if acked > before {
            channel.basic_ack(acked, ALL_UP_TO).await?;
        }
    }
    Ok(clock::now())
}

/// A message, and who waits for its confirm.
type Waiting = (u64, oneshot::Sender<Result<()>>);

/// Callers who each wait for their own message, and one task that publishes what they bring in batches.
pub(crate) async fn publish(place: &Place, callers: u64, plan: Plan, mut cue: Cue) -> Result<Report> {
    let connection = connect(place).await?;
    let channel = confirming(&connection).await?;
    let (bring, waiting) = mpsc::channel::<Waiting>(BATCH);
    let routes: Vec<Route> = place.queues.iter().map(|queue| plan.route(queue)).collect();
    tokio::spawn(own(channel, plan.envelopes(place), routes, waiting));
    let watch = cue.ready().await?;
    let mut running = JoinSet::new();
    for caller in 0..callers {
        running.spawn(call(bring.clone(), (caller..plan.tasks).step_by(usize::try_from(callers)?)));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(watch.report(plan.tasks))
}

async fn call(bring: mpsc::Sender<Waiting>, arguments: impl Iterator<Item = u64>) -> Result<()> {
    for n in arguments {
        let (told, outcome) = oneshot::channel();
        bring.send((n, told)).await?;
        outcome.await??;
    }
    Ok(())
}

async fn own(channel: Channel, mut envelopes: Envelopes, routes: Vec<Route>, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let mut confirming: FuturesUnordered<_> = batch
            .drain(..)
            .zip(routes.iter().cycle())
            .map(|((n, told), route)| {
                let (properties, _) = envelopes.next();
                let confirmed = confirmed(&channel, route, envelopes.body(n), properties);
                async move { (told, confirmed.await) }
            })
            .collect();
        let mut outcomes = Vec::with_capacity(confirming.len());
        while let Some(outcome) = confirming.next().await {
            outcomes.push(outcome);
        }
        for (told, outcome) in outcomes {
            // A caller that is gone does not wait.
            let _ = told.send(outcome);
        }
    }
}
