//! Publishing: every message persistent, mandatory and confirmed, and every caller told about its own.

mod job;
mod lane;
mod targets;
mod verdicts;
mod window;

use crate::{link::Link, runtime::Runtime};
use futures_util::future::join_all;
use job::{Job, Room};
use lane::{Lane, Setup};
use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};
use targets::Targets;
use taskq_core::{BrokerError, Origin, Publish};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Channels for messages that are due at once. One queue always takes the same, so that its order is kept.
const DIRECT_LANES: usize = 4;

/// Messages on their way to the owner of a channel.
const LANE_BUFFER: usize = 1024;

/// Unconfirmed messages, in all.
const MAX_UNCONFIRMED: usize = 10_000;

/// Unconfirmed bytes, in all, in KiB.
const MAX_UNCONFIRMED_KIB: u32 = 64 * 1024;

/// The server closes the channel over a larger message: RabbitMQ 4 takes 16 MiB.
const MAX_BODY: usize = 15 * 1024 * 1024;

/// What closing waits for all lanes; longer than each waits for its messages.
const CLOSING: Duration = Duration::from_secs(6);

pub(crate) struct Publisher {
    link: Link,
    targets: Targets,
    /// The last one is for delayed messages.
    lanes: Vec<mpsc::Sender<Job>>,
    count: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Publisher {
    pub(crate) fn start(
        link: Link,
        servers: &str,
        runtime: &Runtime,
    ) -> Result<(Publisher, Vec<JoinHandle<()>>), BrokerError> {
        let closing = CancellationToken::new();
        let (mut lanes, mut running) = (Vec::new(), Vec::new());
        for number in 0..=DIRECT_LANES {
            let (lane, jobs) = mpsc::channel(LANE_BUFFER);
            let setup = Setup {
                link: link.clone(),
                servers: servers.into(),
                has_delays: number == DIRECT_LANES,
                closing: closing.clone(),
            };
            running.push(runtime.spawn(Lane::new(setup, jobs).run())?);
            lanes.push(lane);
        }
        let publisher = Publisher {
            targets: Targets::new(link.clone()),
            link,
            lanes,
            count: Arc::new(Semaphore::new(MAX_UNCONFIRMED)),
            kib: Arc::new(Semaphore::new(MAX_UNCONFIRMED_KIB as usize)),
            closing,
        };
        Ok((publisher, running))
    }

    pub(crate) async fn publish(&self, publish: Publish, runtime: &Runtime) -> Result<(), BrokerError> {
        check_size(&publish)?;
        let is_delayed = publish.delay.is_some();
        let (mut job, outcome) = Job::new(publish);
        // What a worker publishes is bounded by its prefetch, and what it publishes makes room.
        if job.origin != Origin::Worker {
            job.room = Some(self.room_for(&job, runtime).await?);
        }
        if is_delayed {
            self.targets.check(&job.queue, job.deadline, runtime).await?;
        }
        let lane = if is_delayed { DIRECT_LANES } else { lane_of(&job.queue) };
        let Some(lane) = self.lanes.get(lane) else { return Err(BrokerError::Closed) };
        lane.send(job).await.map_err(|_| BrokerError::Closed)?;
        outcome.await.unwrap_or(Err(BrokerError::Closed))
    }

    async fn room_for(&self, job: &Job, runtime: &Runtime) -> Result<Room, BrokerError> {
        let kib = u32::try_from(job.bytes().div_ceil(1024)).unwrap_or(u32::MAX).min(MAX_UNCONFIRMED_KIB);
        let both = async {
            let count = self.count.clone().acquire_owned().await;
            let bytes = self.kib.clone().acquire_many_owned(kib).await;
            Some(Room { _count: count.ok()?, _bytes: bytes.ok()? })
        };
        match runtime.by(job.deadline, both)?.await {
            Ok(room) => room.ok_or(BrokerError::Closed),
            Err(_) => {
                let reason =
                    format!("{MAX_UNCONFIRMED} messages or {MAX_UNCONFIRMED_KIB} KiB wait for their confirmation");
                Err(self.link.failure().unwrap_or(BrokerError::Blocked { reason }))
            }
        }
    }

    /// Refuses what comes, and waits for what is on its way.
    pub(crate) fn close(&self, running: Vec<JoinHandle<()>>) -> impl Future<Output = ()> + Send + use<> {
        let closing = self.closing.clone();
        async move {
            closing.cancel();
            // A lane that panicked has ended too.
            if timeout(CLOSING, join_all(running)).await.is_err() {
                tracing::warn!("some messages were still unconfirmed when the broker was closed");
            }
        }
    }
}

fn lane_of(queue: &str) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(queue);
    (hash % DIRECT_LANES as u64) as usize
}

/// What came from the server fits the server.
fn check_size(publish: &Publish) -> Result<(), BrokerError> {
    let size = publish.content.body().len();
    if publish.origin == Origin::Worker || size <= MAX_BODY {
        return Ok(());
    }
    let what = format!("a message of {size} bytes for queue `{}`; the limit is {MAX_BODY}", publish.queue);
    Err(BrokerError::Unsupported { what })
}
