//! The tasks: each run writes down that it began and how it ended, whatever else happens.

use crate::{
    cast,
    ledger::{Event, How, Ledger},
};
use std::{fs::File, future::pending, io, sync::OnceLock, time::Duration};
use taskq::prelude::*;

static LEDGER: OnceLock<Ledger> = OnceLock::new();

/// This process's ledger.
pub(crate) fn ledger() -> io::Result<&'static Ledger> {
    if LEDGER.get().is_none() {
        // Two openers append to the same file, and one of them is kept.
        let _ = LEDGER.set(cast::ledger()?);
    }
    LEDGER.get().ok_or_else(|| io::Error::other("no ledger"))
}

/// A run that goes on. Dropping it writes down that the run was broken off.
struct Run {
    tag: String,
    attempt: u32,
    how: Option<How>,
}

impl Run {
    fn begin(ctx: &TaskContext, tag: String) -> io::Result<Run> {
        let (id, attempt) = (ctx.task_id().to_string(), ctx.attempt());
        ledger()?.note(Event::Start { tag: tag.clone(), id, attempt });
        Ok(Run { tag, attempt, how: None })
    }

    fn end(mut self, how: How) {
        self.how = Some(how);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let how = if std::thread::panicking() { How::Panicked } else { self.how.unwrap_or(How::Dropped) };
        if let Ok(ledger) = ledger() {
            ledger.note(Event::End { tag: std::mem::take(&mut self.tag), attempt: self.attempt, how });
        }
    }
}

/// Sleeps, and returns its tag.
#[task(name = "chaos.pass")]
pub(crate) async fn pass(ctx: TaskContext, tag: String, millis: u64) -> Result<String, io::Error> {
    let run = Run::begin(&ctx, tag.clone())?;
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    run.end(How::Done);
    Ok(tag)
}

/// Fails so many times.
#[task(name = "chaos.flaky", retry = 3, backoff = "fixed(300ms)")]
pub(crate) async fn flaky(ctx: TaskContext, tag: String, failures: u32) -> Result<String, io::Error> {
    let run = Run::begin(&ctx, tag.clone())?;
    if ctx.attempt() <= failures {
        run.end(How::Failed);
        return Err(io::Error::other("not yet"));
    }
    run.end(How::Done);
    Ok(tag)
}

/// Panics.
#[task(name = "chaos.panics", retry = 1, backoff = "fixed(200ms)")]
#[allow(clippy::panic, reason = "that is what it is for")]
pub(crate) async fn panics(ctx: TaskContext, tag: String) -> Result<String, io::Error> {
    let _run = Run::begin(&ctx, tag)?;
    panic!("as planned");
}

/// Never ends.
#[task(name = "chaos.hangs", timeout = "400ms")]
pub(crate) async fn hangs(ctx: TaskContext, tag: String) -> Result<String, io::Error> {
    let _run = Run::begin(&ctx, tag)?;
    pending().await
}

/// Aborts its process: when it runs for the first time, or whenever it runs.
#[task(name = "chaos.aborts")]
pub(crate) async fn aborts(ctx: TaskContext, tag: String, always: bool) -> Result<String, io::Error> {
    let run = Run::begin(&ctx, tag.clone())?;
    // Made by one run and found by the next, in whatever process that is.
    let mark = cast::ledgers()?.join(format!("{tag}.aborted"));
    if always || File::create_new(mark).is_ok() {
        ledger()?.note(Event::Abort { tag });
        std::process::abort();
    }
    run.end(How::Done);
    Ok(tag)
}
