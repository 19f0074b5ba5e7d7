//! `--workers N`: several processes of this program, each replaced when it dies.

use super::{args::Args, exit::Exit, log, signals::Stop};
use crate::{backoff::Backoff, error::WorkerError};
use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// Between the death of a process and the start of the next.
const PAUSE: Backoff = Backoff::exp(Duration::from_millis(200)).max(Duration::from_secs(30));
/// A process that has lived this long was not started in vain.
const STEADY: Duration = Duration::from_secs(60);
/// Beyond the shutdown timeout, for what follows it.
const GRACE: Duration = Duration::from_secs(10);
/// For a process that was told to stop at once.
const LAST_LIMIT: Duration = Duration::from_secs(5);

/// Runs the processes until all have ended.
pub(super) fn run(args: &Args) -> Exit {
    log::install(args.flags.log_format, None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(supervise(args))) {
        Ok(exit) => exit,
        Err(error) => Exit::of(Err(WorkerError::App(error.into()))),
    }
}

async fn supervise(args: &Args) -> io::Result<Exit> {
    let stop = Stop::armed(args.parent_pipe)?;
    let mut places = JoinSet::new();
    for index in 0..args.flags.workers {
        let place = Place { index, patience: args.flags.shutdown_timeout() + GRACE, stop: stop.clone() };
        places.spawn(place.keep());
    }
    let mut exit = Exit::Stopped;
    while let Some(ended) = places.join_next().await {
        exit = exit.max(ended.unwrap_or(Exit::Failed));
        if exit == Exit::Failed && !stop.graceful.is_cancelled() {
            stop.request();
        }
    }
    Ok(exit)
}

/// One of the processes, and those that come after it.
struct Place {
    index: u32,
    /// How long a process may take to stop.
    patience: Duration,
    stop: Stop,
}

impl Place {
    /// Keeps a process running until it is time to stop, or until it says that it never can.
    async fn keep(self) -> Exit {
        let mut deaths = 0;
        loop {
            let since = Instant::now();
            let status = match self.spawn() {
                Ok(child) => self.attend(child).await,
                Err(error) => Err(error),
            };
            let status = match status {
                Ok(status) => status,
                Err(error) => return Exit::of(Err(WorkerError::App(error.into()))),
            };
            if let Some(exit) = self.last(status) {
                return exit;
            }
            deaths = if since.elapsed() > STEADY { 1 } else { deaths + 1 };
            let pause = PAUSE.jittered(deaths, fastrand::f64());
            tracing::error!(worker = self.index, "the process ended ({status}); the next starts in {pause:.1?}");
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stop.graceful.cancelled() => return Exit::Stopped,
            }
        }
    }

    /// The end of this place, if no other process is to follow one that ended so.
    fn last(&self, status: ExitStatus) -> Option<Exit> {
        if self.stop.graceful.is_cancelled() {
            return Some(Exit::of_process(status));
        }
        let wrong_set_up = Exit::of_process(status) == Exit::Failed;
        if wrong_set_up {
            tracing::error!(worker = self.index, "the process cannot run; the others are stopped");
        }
        wrong_set_up.then_some(Exit::Failed)
    }

    fn spawn(&self) -> io::Result<Child> {
        let index = self.index.to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).args(["--parent-pipe", "--worker-index", &index]);
        command.env("TASKQ_WORKER_INDEX", &index).stdin(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C reaches the whole group of the terminal: two requests, where one was meant.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn()?;
        tracing::info!(worker = self.index, process = child.id(), "a worker process starts");
        Ok(child)
    }

    /// Waits for the end of the process, and passes requests to stop on to it.
    async fn attend(&self, mut child: Child) -> io::Result<ExitStatus> {
        let mut pipe = child.stdin.take();
        tokio::select! {
            status = child.wait() => return status,
            () = self.stop.graceful.cancelled() => ask(&mut pipe).await,
        }
        tokio::select! {
            status = child.wait() => return status,
            () = self.stop.immediate.cancelled() => {}
            () = sleep(self.patience) => {}
        }
        ask(&mut pipe).await;
        if let Ok(status) = timeout(LAST_LIMIT, child.wait()).await {
            return status;
        }
        tracing::error!(worker = self.index, "the process does not stop; it is killed");
        child.kill().await?;
        child.wait().await
    }
}

/// One request to stop.
async fn ask(pipe: &mut Option<ChildStdin>) {
    if let Some(pipe) = pipe
        && let Err(error) = pipe.write_all(b"\n").await
    {
        // It has ended already.
        tracing::debug!(%error, "the process does not listen any more");
    }
}
