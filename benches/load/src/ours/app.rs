//! The app, as a user would write it.

use crate::{
    amounts::RESULT_TTL,
    protocol::{Kind, Place},
};
use taskq::{BrokerExt, prelude::*};

/// Whether the app keeps results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Results {
    Kept,
    None,
}

pub(crate) fn app(place: &Place, results: Results) -> App {
    let mut app = AmqpBroker::new(&place.amqp).with_default_queue(&place.queues[0]);
    for queue in &place.queues {
        app = app.with_queue(spec(place.kind, queue));
    }
    match results {
        Results::Kept => {
            app.with_result_backend(RedisResults::new(&place.redis).prefix(&place.prefix)).with_result_ttl(RESULT_TTL)
        }
        Results::None => app,
    }
}

fn spec(kind: Kind, queue: &str) -> QueueSpec {
    match kind {
        Kind::Quorum => QueueSpec::new(queue),
        Kind::Classic => QueueSpec::new(queue).classic(),
    }
}
