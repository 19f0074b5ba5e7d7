//! Publishing: every message persistent, mandatory and confirmed, and every caller told about its own.

mod backlog;
mod job;
mod lane;
mod opening;
mod refusals;
mod setup;
mod targets;
mod verdicts;
mod window;

use crate::{error, levels::Levels, link::Link, runtime::Runtime};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use job::{Job, Outcome, Room};
use lane::Lane;
use setup::Setup;
use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};
use targets::Targets;
use taskq_core::{BrokerError, Origin, Publish};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
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

/// Tells the outcome of a message that is on its way.
type Waiting = oneshot::Receiver<Outcome>;

/// Waits until there is room for a message.
type Admission<'a> = BoxFuture<'a, Result<(), BrokerError>>;

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
        levels: &Arc<Levels>,
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
                levels: (number == DIRECT_LANES).then(|| levels.clone()),
                closing: closing.clone(),
            };
            running.push(runtime.spawn(Lane::new(setup, jobs).run())?);
            lanes.push(lane);
        }
        let publisher = Publisher {
            targets: Targets::new(link.clone(), servers),
            link,
            lanes,
            count: Arc::new(Semaphore::new(MAX_UNCONFIRMED)),
            kib: Arc::new(Semaphore::new(MAX_UNCONFIRMED_KIB as usize)),
            closing,
        };
        Ok((publisher, running))
    }

    pub(crate) async fn publish(&self, publish: Publish, runtime: &Runtime) -> Outcome {
        let (job, waiting) = Job::new(publish);
        if let Some(admission) = self.admit(job, false, runtime)? {
            admission.await?;
        }
        outcome_of(waiting).await
    }

    /// Publishes in this order, and waits for all outcomes together.
    pub(crate) async fn publish_many(&self, publishes: Vec<Publish>, runtime: &Runtime) -> Vec<Outcome> {
        let (mut admitted, mut held_up, mut is_behind) = (Vec::with_capacity(publishes.len()), Vec::new(), false);
        for (place, publish) in publishes.into_iter().enumerate() {
            let (job, waiting) = Job::new(publish);
            let is_direct = job.due.is_none();
            admitted.push(self.admit(job, is_behind, runtime).map(|admission| {
                if let Some(admission) = admission {
                    // Those after it would overtake it; those who wait for room get it in their order.
                    is_behind |= is_direct;
                    held_up.push(admission.map(move |admission| (place, admission)));
                }
                waiting
            }));
        }
        for (place, admission) in join_all(held_up).await {
            if let (Err(error), Some(admitted)) = (admission, admitted.get_mut(place)) {
                *admitted = Err(error);
            }
        }
        let mut outcomes = Vec::with_capacity(admitted.len());
        for waiting in admitted {
            outcomes.push(match waiting {
                Ok(waiting) => outcome_of(waiting).await,
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    /// Hands a message to the owner of its channel. There nearly always is room for it; the few that wait for it, or behind
    /// others, do so in a future of their own.
    fn admit<'a>(
        &'a self,
        job: Job,
        is_behind: bool,
        runtime: &'a Runtime,
    ) -> Result<Option<Admission<'a>>, BrokerError> {
        error::check_queue_name(&job.queue)?;
        check_size(&job)?;
        let waiting = if is_behind { Some(job) } else { self.admit_at_once(job) };
        Ok(waiting.map(|job| self.admit_in_time(job, runtime).boxed()))
    }

    /// Gives the message back if it has to wait for anything.
    fn admit_at_once(&self, mut job: Job) -> Option<Job> {
        if job.due.is_some() && !self.targets.knows(&job.queue) {
            return Some(job);
        }
        if job.origin != Origin::Worker {
            job.room = self.room_now(&job);
            if job.room.is_none() {
                return Some(job);
            }
        }
        let Some(lane) = self.lane_of(&job) else { return Some(job) };
        lane.try_send(job).err().map(TrySendError::into_inner)
    }

    async fn admit_in_time(&self, mut job: Job, runtime: &Runtime) -> Result<(), BrokerError> {
        // What a worker publishes is bounded by its prefetch, and what it publishes makes room.
        if job.origin != Origin::Worker && job.room.is_none() {
            job.room = Some(self.room_for(&job, runtime).await?);
        }
        if job.due.is_some() {
            self.targets.check(&job.queue, job.deadline, runtime).await?;
        }
        let Some(lane) = self.lane_of(&job) else { return Err(BrokerError::Closed) };
        match runtime.by(job.deadline, lane.send(job))?.await {
            Ok(sent) => sent.map_err(|_| BrokerError::Closed),
            Err(_) => Err(self.no_room()),
        }
    }

    fn lane_of(&self, job: &Job) -> Option<&mpsc::Sender<Job>> {
        self.lanes.get(if job.due.is_some() { DIRECT_LANES } else { direct_lane_of(&job.queue) })
    }

    fn room_now(&self, job: &Job) -> Option<Room> {
        let count = self.count.clone().try_acquire_owned().ok()?;
        let bytes = self.kib.clone().try_acquire_many_owned(kib_of(job)).ok()?;
        Some(Room { _count: count, _bytes: bytes })
    }

    async fn room_for(&self, job: &Job, runtime: &Runtime) -> Result<Room, BrokerError> {
        let kib = kib_of(job);
        let both = async {
            let count = self.count.clone().acquire_owned().await;
            let bytes = self.kib.clone().acquire_many_owned(kib).await;
            Some(Room { _count: count.ok()?, _bytes: bytes.ok()? })
        };
        match runtime.by(job.deadline, both)?.await {
            Ok(room) => room.ok_or(BrokerError::Closed),
            Err(_) => Err(self.no_room()),
        }
    }

    fn no_room(&self) -> BrokerError {
        let reason = format!("{MAX_UNCONFIRMED} messages or {MAX_UNCONFIRMED_KIB} KiB wait for their confirmation");
        self.link.failure().unwrap_or(BrokerError::Blocked { reason })
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

/// A lane that is gone took the message with it, unsent or not.
async fn outcome_of(waiting: Waiting) -> Outcome {
    waiting.await.unwrap_or(Err(BrokerError::Closed))
}

/// The room that a message takes, in KiB.
fn kib_of(job: &Job) -> u32 {
    u32::try_from(job.bytes().div_ceil(1024)).unwrap_or(u32::MAX).min(MAX_UNCONFIRMED_KIB)
}

fn direct_lane_of(queue: &str) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(queue);
    (hash % DIRECT_LANES as u64) as usize
}

/// What came from the server fits the server.
fn check_size(job: &Job) -> Result<(), BrokerError> {
    let size = job.body().len();
    if job.origin == Origin::Worker || size <= MAX_BODY {
        return Ok(());
    }
    let what = format!("a message of {size} bytes for queue `{}`; the limit is {MAX_BODY}", job.queue);
    Err(BrokerError::Unsupported { what })
}
