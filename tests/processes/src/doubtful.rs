//! Tasks whose end a test decides, for tests of what becomes of runs that are broken off, taken over or repeated.

use crate::note;
use std::{io, path::Path, time::Duration};
use taskq::prelude::*;

/// Runs until the test opens the gate, and says which process ran it.
///
/// # Errors
/// The ledger cannot be written.
#[task]
pub async fn gated(ctx: TaskContext, gate: String) -> Result<u32, io::Error> {
    pass(&ctx, &gate).await?;
    Ok(std::process::id())
}

/// The same, but its first run fails. What is left of it comes two seconds later.
///
/// # Errors
/// The first run fails; the ledger cannot be written.
#[task(retry = 1, backoff = "fixed(2s)")]
pub async fn gated_and_retried(ctx: TaskContext, gate: String) -> Result<u32, io::Error> {
    pass(&ctx, &gate).await?;
    if ctx.attempt() == 1 { Err(io::Error::other("not at first")) } else { Ok(std::process::id()) }
}

/// The same, and then fails for good.
///
/// # Errors
/// Always.
#[task]
pub async fn gated_and_failed(ctx: TaskContext, gate: String) -> Result<u32, io::Error> {
    pass(&ctx, &gate).await?;
    Err(io::Error::other("never"))
}

/// The same on a thread of its own, of which there are as many as cores.
///
/// # Errors
/// The ledger cannot be written.
#[task]
pub fn gated_plain(ctx: TaskContext, gate: String) -> Result<u32, io::Error> {
    note("start", &ctx)?;
    while !Path::new(&gate).exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    note("end", &ctx)?;
    Ok(std::process::id())
}

/// Holds up the thread that it runs on.
///
/// # Errors
/// The ledger cannot be written.
#[task]
pub async fn block(ctx: TaskContext, millis: u64) -> Result<u32, io::Error> {
    note("start", &ctx)?;
    std::thread::sleep(Duration::from_millis(millis));
    note("end", &ctx)?;
    Ok(std::process::id())
}

/// Takes its process with it.
///
/// # Errors
/// The ledger cannot be written.
#[task]
pub async fn abort(ctx: TaskContext, after_millis: u64) -> Result<u32, io::Error> {
    note("start", &ctx)?;
    tokio::time::sleep(Duration::from_millis(after_millis)).await;
    std::process::abort()
}

/// Notes the start, waits for the gate, which is open to all processes or to this one, and notes the end.
async fn pass(ctx: &TaskContext, gate: &str) -> io::Result<()> {
    note("start", ctx)?;
    let mut run = Run { ctx: ctx.clone(), has_ended: false };
    let own = format!("{gate}.{}", std::process::id());
    while !Path::new(gate).exists() && !Path::new(&own).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run.has_ended = true;
    note("end", ctx)
}

/// Notes that a run was broken off.
struct Run {
    ctx: TaskContext,
    has_ended: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.has_ended {
            // A test that misses the note fails.
            let _ = note("broken", &self.ctx);
        }
    }
}
