//! Raw publishing: confirmed, persistent, mandatory.

use super::{
    envelope::{Envelopes, route},
    line::{MANDATORY, confirming, connect},
};
use crate::{
    protocol::{Place, Report, Task},
    role::cue::Cue,
};
use anyhow::{Result, bail};
use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{BasicProperties, Channel, Confirmation, types::ShortString};

pub(super) type Route = (ShortString, ShortString);

/// What is published, and how many of it.
pub(crate) struct Plan {
    pub(crate) task: Task,
    pub(crate) tasks: u64,
    pub(crate) delay_millis: u64,
}

impl Plan {
    /// That of a first run.
    fn delay_millis(&self) -> u64 {
        if self.task == Task::Fails { 0 } else { self.delay_millis }
    }

    pub(super) fn envelopes(&self, place: &Place) -> Envelopes {
        Envelopes::new(place, self.task, self.delay_millis())
    }

    pub(super) fn route(&self, queue: &str) -> Route {
        route(queue, self.delay_millis())
    }

    /// That of the n-th task.
    pub(super) fn argument(&self, n: u64) -> u64 {
        if self.task == Task::Fails { self.delay_millis } else { n }
    }
}

/// `in_flight` tasks are unconfirmed at any time.
pub(crate) async fn publish(place: &Place, in_flight: usize, plan: Plan, mut cue: Cue) -> Result<Report> {
    let connection = connect(place).await?;
    let channel = confirming(&connection).await?;
    let routes: Vec<Route> = place.queues.iter().map(|queue| plan.route(queue)).collect();
    let mut envelopes = plan.envelopes(place);
    let watch = cue.ready().await?;
    let mut unconfirmed = FuturesUnordered::new();
    for (n, route) in (0..plan.tasks).zip(routes.iter().cycle()) {
        let (properties, body) = (envelopes.next().0, envelopes.body(plan.argument(n)));
        if in_flight == 1 {
            confirmed(&channel, route, body, properties).await?;
            continue;
        }
        if unconfirmed.len() >= in_flight
            && let Some(outcome) = unconfirmed.next().await
        {
            outcome?;
        }
        unconfirmed.push(confirmed(&channel, route, body, properties));
    }
    while let Some(outcome) = unconfirmed.next().await {
        outcome?;
    }
    Ok(watch.report(plan.tasks))
}

/// Publishes one message, and waits until the server has it.
pub(super) async fn confirmed(
    channel: &Channel,
    (exchange, key): &Route,
    body: Vec<u8>,
    properties: BasicProperties,
) -> Result<()> {
    let publishing = channel.basic_publish(exchange.clone(), key.clone(), MANDATORY, &body, properties);
    match publishing.await?.await? {
        Confirmation::Ack(None) => Ok(()),
        other => bail!("a message was not taken: {other:?}"),
    }
}
