//! Publishing: every message persistent, mandatory and confirmed, and every caller told about its own.

#![allow(clippy::vec_box, reason = "a message moves between lists, and stays in its box")]

mod backlog;
mod finished;
mod job;
mod keeper;
mod lane;
mod many;
mod opening;
mod refusals;
mod reply;
mod room;
mod setup;
mod state;
mod targets;
mod verdicts;
mod wakes;
mod window;

use crate::{error, levels::Levels, link::Link, runtime::Runtime};
use futures_util::{FutureExt, future::join_all};
use job::{Job, Outcome};
use keeper::Keeper;
use lane::Lane;
use reply::Caller;
use room::{Awaited, Rooms};
use setup::Setup;
use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};
use targets::Targets;
use taskq_core::{BrokerError, Origin, Publish};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Channels for messages that are due at once. One queue always takes the same, so that its order is kept.
const DIRECT_LANES: usize = 4;

/// The server closes the channel over a larger message: RabbitMQ 4 takes 16 MiB.
const MAX_BODY: usize = 15 * 1024 * 1024;

/// What closing waits for all lanes; longer than each waits for its messages.
const CLOSING: Duration = Duration::from_secs(6);

pub(crate) struct Publisher {
    targets: Targets,
    /// The last one is for delayed messages.
    lanes: [Arc<Lane>; DIRECT_LANES + 1],
    rooms: Rooms,
    closing: CancellationToken,
}

impl Publisher {
    pub(crate) fn start(
        link: Link,
        levels: &Arc<Levels>,
        servers: &str,
        runtime: &Runtime,
    ) -> Result<(Publisher, Vec<JoinHandle<()>>), BrokerError> {
        let closing = CancellationToken::new();
        let awaited = Awaited::default();
        let lanes = [(); DIRECT_LANES + 1].map(|()| Arc::new(Lane::new(awaited.clone())));
        let mut running = Vec::new();
        for (number, lane) in lanes.iter().enumerate() {
            let setup = Setup {
                link: link.clone(),
                servers: servers.into(),
                levels: (number == DIRECT_LANES).then(|| levels.clone()),
                closing: closing.clone(),
            };
            running.push(runtime.spawn(Keeper::new(setup, lane.clone()).run())?);
        }
        let publisher = Publisher {
            targets: Targets::new(link.clone(), servers),
            rooms: Rooms::new(link, awaited),
            lanes,
            closing,
        };
        Ok((publisher, running))
    }

    pub(crate) async fn publish(&self, publish: Publish, runtime: &Runtime) -> Outcome {
        check(&publish)?;
        let lane = self.lane_of(&publish);
        let (job, waiting) = Job::new(publish, lane, &Caller::default());
        if let Some(job) = self.admit_at_once(job, lane) {
            self.admit_in_time(job, lane, runtime).boxed().await?;
        }
        waiting.await
    }

    /// Hands a message over. There nearly always is room for it; one that has to wait for anything is given back.
    fn admit_at_once(&self, mut job: Box<Job>, lane: &Lane) -> Option<Box<Job>> {
        if job.due.is_some() && !self.targets.knows(&job.queue) {
            return Some(job);
        }
        if !self.rooms.give_now(&mut job) {
            return Some(job);
        }
        lane.submit(job);
        None
    }

    async fn admit_in_time(&self, mut job: Box<Job>, lane: &Lane, runtime: &Runtime) -> Result<(), BrokerError> {
        let deadline = job.deadline;
        self.rooms.give_by(deadline, &mut job, &self.lanes, runtime).await?;
        if job.due.is_some() {
            self.targets.check(&job.queue, deadline, runtime).await?;
        }
        lane.submit(job);
        Ok(())
    }

    fn lane_of(&self, publish: &Publish) -> &Lane {
        &self.lanes[if publish.delay.is_some() { DIRECT_LANES } else { direct_lane_of(&publish.queue) }]
    }

    /// Refuses what comes, and waits for what is on its way.
    pub(crate) fn close(&self, running: Vec<JoinHandle<()>>) -> impl Future<Output = ()> + Send + use<> {
        let closing = self.closing.clone();
        async move {
            closing.cancel();
            // A keeper that panicked has ended too.
            if timeout(CLOSING, join_all(running)).await.is_err() {
                tracing::warn!("some messages were still unconfirmed when the broker was closed");
            }
        }
    }
}

fn direct_lane_of(queue: &str) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(queue);
    (hash % DIRECT_LANES as u64) as usize
}

fn check(publish: &Publish) -> Result<(), BrokerError> {
    error::check_queue_name(&publish.queue)?;
    let size = publish.content.body().len();
    // What came from the server fits the server.
    if publish.origin == Origin::Worker || size <= MAX_BODY {
        return Ok(());
    }
    let what = format!("a message of {size} bytes for queue `{}`; the limit is {MAX_BODY}", publish.queue);
    Err(BrokerError::Unsupported { what })
}
