//! Raw retries: for all that has arrived its copies into the delay levels, and one ack when they are confirmed.

use super::{
    envelope::{argument, retried, route},
    line::{ALL_UP_TO, arrived, close, confirming, connect, consume, ready},
    publish::confirmed,
};
use crate::{
    clock,
    meter::Meter,
    protocol::{Place, Report},
    role::cue::Cue,
};
use anyhow::Result;
use futures_util::future::try_join_all;

pub(crate) async fn work(place: &Place, prefetch: u16, meter: &'static Meter, mut cue: Cue) -> Result<Report> {
    let publishing = connect(place).await?;
    let publish = confirming(&publishing).await?;
    let connection = connect(place).await?;
    let channel = connection.create_channel().await?;
    let watch = cue.ready().await?;
    let mut deliveries = consume(&channel, &place.queues[0], prefetch).await?;
    let most = usize::from(prefetch.div_ceil(2));
    let mut batch = Vec::with_capacity(most);
    while !meter.is_reached() {
        let last = arrived(&mut deliveries, most, &mut batch).await?;
        let copies = batch.drain(..).map(|delivery| {
            meter.handle(argument(&delivery.data));
            let delay = argument(&delivery.data);
            let route = route(&place.queues[0], delay);
            let properties = retried(&delivery.properties, clock::unix_millis() + delay);
            let publish = &publish;
            async move { confirmed(publish, &route, delivery.data, properties).await }
        });
        try_join_all(copies).await?;
        channel.basic_ack(last, ALL_UP_TO).await?;
    }
    let settled = clock::now();
    ready(&channel, &place.queues[0]).await?;
    let mut report = watch.report_since(meter.first(), meter.handled());
    meter.note(settled, &mut report.figures);
    publishing.close(200, "done".into()).await?;
    close(connection, &[channel]).await?;
    Ok(report)
}
