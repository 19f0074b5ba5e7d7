//! From the command line to the end of the process.

use super::{
    args::{Args, Command, LogFormat, WorkerFlags},
    dead,
    exit::{self, Exit},
    log,
    probe::AppFuture,
    signals::Stop,
    start, supervise, tasks,
};
use crate::{app::App, error::WorkerError, worker::WorkerPlan};
use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

/// Names the program in its help and its start table.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The path of what gives the app.
    pub app: &'static str,
    /// The version of the package that the program belongs to.
    pub version: &'static str,
}

/// How long disconnecting may take at the end.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What `taskq::worker::main!` calls.
pub fn run(program: Program, app: impl FnOnce() -> AppFuture) -> ExitCode {
    let args = Args::of(&program);
    let exit = match &args.command {
        Some(command) => Exit::of(on_runtime(inquire(command, app))),
        None if args.flags.workers > 1 && args.worker_index.is_none() => supervise::run(&args),
        None => Exit::of(on_runtime(serve(program, &args, app))),
    };
    exit.into()
}

/// Runs to the end of `body` on a runtime with one thread per core.
fn on_runtime(body: impl Future<Output = Result<(), WorkerError>>) -> Result<(), WorkerError> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = threads.enable_all().thread_name("taskq-worker").build().map_err(system)?;
    let outcome = runtime.block_on(body);
    // A plain `fn` that does not return must not hold up the end of the process.
    runtime.shutdown_background();
    outcome
}

async fn serve(program: Program, args: &Args, app: impl FnOnce() -> AppFuture) -> Result<(), WorkerError> {
    let app = app().await.map_err(WorkerError::App)?;
    log::install(args.flags.log_format, args.worker_index);
    let stop = Stop::armed(args.parent_pipe).map_err(system)?;
    let outcome = work(program, args, &app, &stop).await;
    if tokio::time::timeout(CLOSE_LIMIT, app.shutdown()).await.is_err() {
        tracing::warn!("the connections were not closed within {} s", CLOSE_LIMIT.as_secs());
    }
    outcome
}

async fn work(program: Program, args: &Args, app: &App, stop: &Stop) -> Result<(), WorkerError> {
    if !start::started(app, stop).await? {
        return Ok(());
    }
    let worker = args.flags.apply(app.worker());
    // Of several processes, the first one speaks for all.
    if args.worker_index.unwrap_or(0) == 0 {
        announce(program, &args.flags, &worker.plan())?;
    }
    start::run(worker, stop).await
}

/// The start table.
fn announce(program: Program, flags: &WorkerFlags, plan: &WorkerPlan) -> Result<(), WorkerError> {
    let Program { app, version } = program;
    match (flags.log_format, flags.workers) {
        (LogFormat::Text, 1) => say(&format!("{app} {version}\n{plan}")),
        (LogFormat::Text, workers) => say(&format!("{app} {version}, the first of {workers} processes\n{plan}")),
        (LogFormat::Json, workers) => {
            let tasks: Vec<&str> = plan.tasks.iter().map(|(def, _)| def.name).collect();
            let queues: Vec<_> = plan.queues.iter().map(|q| format!("{}:{}", q.spec.name(), q.concurrency)).collect();
            let (tasks, queues, taskq) = (tasks.join(","), queues.join(","), env!("CARGO_PKG_VERSION"));
            tracing::info!(app, version, taskq, workers, worker = plan.name, tasks, queues, "worker starts");
            Ok(())
        }
    }
}

async fn inquire(command: &Command, app: impl FnOnce() -> AppFuture) -> Result<(), WorkerError> {
    let app = app().await.map_err(WorkerError::App)?;
    log::install_quiet();
    let text = match command {
        Command::Tasks { json } => tasks::list(&app, *json)?,
        Command::Dead(command) => {
            let outcome = dead::answer(&app, command).await;
            if let Err(error) = app.shutdown().await {
                exit::say_error(&error);
            }
            outcome?
        }
    };
    say(&text)
}

/// Writes to stdout.
pub(super) fn say(text: &str) -> Result<(), WorkerError> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(system)
}

/// The system refused something that no program can do without.
fn system(error: io::Error) -> WorkerError {
    WorkerError::App(error.into())
}
