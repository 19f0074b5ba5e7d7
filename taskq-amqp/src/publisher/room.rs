//! Bounds for all unconfirmed messages together.

use super::{job::Job, lane::Lane};
use crate::{link::Link, runtime::Runtime};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use taskq_core::{BrokerError, Origin};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Unconfirmed messages, in all.
const MAX_UNCONFIRMED: usize = 10_000;

/// Unconfirmed bytes, in all, in KiB.
const MAX_UNCONFIRMED_KIB: u32 = 64 * 1024;

/// What keeps the memory of all waiting messages bounded; given back with the job.
pub(super) struct Room {
    _count: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// Whether somebody waits for room. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Awaited(Arc<AtomicUsize>);

impl Awaited {
    pub(super) fn is_awaited(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }

    fn wait(&self) -> Waiter<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Waiter(self)
    }
}

/// One that waits for room, until it is dropped.
struct Waiter<'a>(&'a Awaited);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) struct Rooms {
    link: Link,
    awaited: Awaited,
    count: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

impl Rooms {
    pub(super) fn new(link: Link, awaited: Awaited) -> Rooms {
        let count = Arc::new(Semaphore::new(MAX_UNCONFIRMED));
        Rooms { link, awaited, count, kib: Arc::new(Semaphore::new(MAX_UNCONFIRMED_KIB as usize)) }
    }

    /// Whether the message has its room, or has it now.
    pub(super) fn give_now(&self, job: &mut Job) -> bool {
        if needs_room(job) {
            let count = self.count.clone().try_acquire_owned();
            let bytes = self.kib.clone().try_acquire_many_owned(kib_of(job));
            job.room = count.ok().zip(bytes.ok()).map(|(count, bytes)| Room { _count: count, _bytes: bytes });
        }
        !needs_room(job)
    }

    /// Gives the message its room as soon as there is some, in the order of asking. Meanwhile the keepers of `lanes` look at
    /// what gives it back.
    ///
    /// # Errors
    /// There was none until `deadline`.
    pub(super) async fn give_by(
        &self,
        deadline: Instant,
        job: &mut Job,
        lanes: &[Arc<Lane>],
        runtime: &Runtime,
    ) -> Result<(), BrokerError> {
        if self.give_now(job) {
            return Ok(());
        }
        let _waiter = self.awaited.wait();
        // Their callers may be waiting here.
        lanes.iter().for_each(|lane| lane.wakes().call_keeper());
        let kib = kib_of(job);
        let both = async {
            let count = self.count.clone().acquire_owned().await;
            let bytes = self.kib.clone().acquire_many_owned(kib).await;
            Some(Room { _count: count.ok()?, _bytes: bytes.ok()? })
        };
        match runtime.by(deadline, both)?.await {
            Ok(room) => job.room = Some(room.ok_or(BrokerError::Closed)?),
            Err(_) => return Err(self.no_room()),
        }
        Ok(())
    }

    fn no_room(&self) -> BrokerError {
        let reason = format!("{MAX_UNCONFIRMED} messages or {MAX_UNCONFIRMED_KIB} KiB wait for their confirmation");
        self.link.failure().unwrap_or(BrokerError::Blocked { reason })
    }
}

/// What a worker publishes is bounded by its prefetch, and what it publishes makes room.
fn needs_room(job: &Job) -> bool {
    job.origin != Origin::Worker && job.room.is_none()
}

/// The room that a message takes, in KiB.
fn kib_of(job: &Job) -> u32 {
    u32::try_from(job.bytes().div_ceil(1024)).unwrap_or(u32::MAX).min(MAX_UNCONFIRMED_KIB)
}
