//! The tasks: as little work as there can be.

use crate::meter;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use taskq::{BoxError, prelude::*};

/// Runs of [`sleeps`] that have begun.
static ASLEEP: AtomicU64 = AtomicU64::new(0);

pub(super) fn asleep() -> u64 {
    ASLEEP.load(Ordering::Relaxed)
}

#[task(name = "load.kept")]
pub(crate) async fn kept(n: u64) -> u64 {
    meter::handle(n);
    n
}

#[task(name = "load.kept_text")]
pub(super) async fn kept_text(n: u64, text: String) -> usize {
    meter::handle(n);
    text.len()
}

#[task(name = "load.forgotten", store_result = false)]
pub(super) async fn forgotten(n: u64) -> u64 {
    meter::handle(n);
    n
}

#[task(name = "load.forgotten_text", store_result = false)]
pub(super) async fn forgotten_text(n: u64, text: String) -> usize {
    meter::handle(n);
    text.len()
}

/// Runs again after `n` milliseconds.
#[task(name = "load.fails", retry = 1)]
pub(super) async fn fails(ctx: TaskContext, n: u64) -> Result<u64, BoxError> {
    meter::handle(n);
    if ctx.attempt() > 1 {
        return Ok(n);
    }
    Err(TaskError::retry_in("the first run fails", Duration::from_millis(n)).into())
}

#[task(name = "load.sleeps")]
pub(super) async fn sleeps(n: u64, text: String) -> u64 {
    ASLEEP.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    n + text.len() as u64
}
