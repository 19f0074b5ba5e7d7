//! Bounds for all unconfirmed messages together.

use super::job::Job;
use crate::{link::Link, runtime::Runtime};
use std::{sync::Arc, time::Instant};
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

pub(super) struct Rooms {
    link: Link,
    count: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

impl Rooms {
    pub(super) fn new(link: Link) -> Rooms {
        let count = Arc::new(Semaphore::new(MAX_UNCONFIRMED));
        Rooms { link, count, kib: Arc::new(Semaphore::new(MAX_UNCONFIRMED_KIB as usize)) }
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

    /// Gives the message its room as soon as there is some, in the order of asking.
    ///
    /// # Errors
    /// There was none until `deadline`.
    pub(super) async fn give_by(&self, deadline: Instant, job: &mut Job, runtime: &Runtime) -> Result<(), BrokerError> {
        if !needs_room(job) {
            return Ok(());
        }
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
