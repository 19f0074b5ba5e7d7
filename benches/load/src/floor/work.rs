//! Raw working: each task by itself, or all together that has arrived.

use super::{
    envelope::argument,
    line::{ALL_UP_TO, arrived, close, connect, consume, id_of, ready},
    results::Results,
};
use crate::{
    clock,
    meter::Meter,
    protocol::{Place, Report, Working},
    role::cue::Cue,
};
use anyhow::Result;
use futures_util::{StreamExt, future::try_join_all, stream::FuturesUnordered};
use lapin::{Channel, Consumer, message::Delivery, options::BasicAckOptions};

/// Works until as much is done as the meter's target says, or the cue says stop.
pub(crate) async fn work(
    place: &Place,
    how: Working,
    prefetch: u16,
    meter: &'static Meter,
    mut cue: Cue,
) -> Result<Report> {
    let connection = connect(place).await?;
    let mut channels = Vec::new();
    for _ in &place.queues {
        channels.push(connection.create_channel().await?);
    }
    let results = Results::connect(place).await?;
    let watch = cue.ready().await?;
    // As much at once as with one queue.
    let prefetch = prefetch.div_ceil(u16::try_from(place.queues.len())?);
    let mut workers = Vec::new();
    for ((queue, channel), share) in place.queues.iter().zip(&channels).zip(shares(meter, place.queues.len())) {
        let deliveries = consume(channel, queue, prefetch).await?;
        let results = results.clone();
        workers.push(Worker { channel, deliveries, results, meter, prefetch: prefetch.into(), share });
    }
    let settled = tokio::select! {
        settled = try_join_all(workers.iter_mut().map(|worker| worker.work(how))) => settled?.into_iter().max(),
        stopped = cue.stop() => stopped.map(|()| None)?,
    };
    drop(workers);
    // The server answers when it has taken all acks before.
    for (queue, channel) in place.queues.iter().zip(&channels) {
        ready(channel, queue).await?;
    }
    let mut report = watch.report_since(meter.first(), meter.handled());
    meter.note(settled.unwrap_or(0), &mut report.figures);
    close(connection, &channels).await?;
    Ok(report)
}

/// What each of so many queues was filled with.
fn shares(meter: &Meter, queues: usize) -> impl Iterator<Item = u64> {
    let queues = queues as u64;
    (0..queues).map(move |queue| meter.target().saturating_sub(queue).div_ceil(queues))
}

/// Works on one queue.
struct Worker<'a> {
    channel: &'a Channel,
    deliveries: Consumer,
    results: Results,
    meter: &'static Meter,
    prefetch: usize,
    /// Tasks to do.
    share: u64,
}

impl Worker<'_> {
    /// Says when the last task was settled.
    async fn work(&mut self, how: Working) -> Result<u64> {
        match how {
            Working::OneByOne(_) => self.each().await?,
            _ => self.together(how).await?,
        }
        Ok(clock::now())
    }

    async fn each(&mut self) -> Result<()> {
        let (channel, meter) = (self.channel, self.meter);
        let mut running = FuturesUnordered::new();
        let mut taken = 0;
        while taken < self.share || !running.is_empty() {
            tokio::select! {
                biased;
                Some(done) = running.next() => Result::from(done)?,
                Some(delivery) = self.deliveries.next(), if running.len() < self.prefetch && taken < self.share => {
                    taken += 1;
                    running.push(settle(channel, meter, self.results.clone(), delivery?));
                }
            }
        }
        Ok(())
    }

    async fn together(&mut self, how: Working) -> Result<()> {
        // Half of what may be unacked, so that the server has something to send meanwhile.
        let most = self.prefetch.div_ceil(2);
        let mut batch = Vec::with_capacity(most);
        let mut done = 0;
        while done < self.share {
            let last = arrived(&mut self.deliveries, most, &mut batch).await?;
            batch.iter().for_each(|delivery| self.meter.handle(argument(&delivery.data)));
            if how != Working::Acks {
                let ids: Vec<&str> = batch.iter().map(id_of).collect();
                self.results.store_all(&ids).await?;
            }
            self.channel.basic_ack(last, ALL_UP_TO).await?;
            done += batch.len() as u64;
        }
        Ok(())
    }
}

/// One task by itself.
async fn settle(channel: &Channel, meter: &Meter, mut results: Results, delivery: Delivery) -> Result<()> {
    meter.handle(argument(&delivery.data));
    results.store_all(&[id_of(&delivery)]).await?;
    Ok(channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?)
}
