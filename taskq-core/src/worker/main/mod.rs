//! The command line of a worker process: what `taskq::worker::main!` expands to.

mod args;
mod dead;
mod exit;
mod log;
mod probe;
mod run;
mod signals;
mod start;
mod supervise;
mod table;
mod tasks;

pub use args::{LogFormat, QueueFlag, WorkerFlags};
pub use probe::{AppFuture, FromAsyncFn, FromElse, FromFn, FromShared, FromSharedResult, GivesApp, Probe};
pub use run::{Program, run};

/// What the `taskq` command and a worker program expect of each other: its flags, its subcommands, and what its
/// standard input means. It changes with them.
pub const CLI_PROTOCOL: u32 = 1;

/// The whole `main` of a worker program, from the path of what gives its app.
///
/// The path names a `fn()` or an `async fn()`, or a `static` such as a `LazyLock`. What it gives is an
/// [`App`](crate::App), any [`Broker`](crate::Broker), an `Arc` of one, or a `Result` of these. It is called inside the
/// worker's runtime.
///
/// ```no_run
/// # mod my_app { pub fn broker() -> taskq::App { taskq::BrokerExt::into_app(taskq::InMemoryBroker::new()) } }
/// fn main() -> std::process::ExitCode {
///     taskq::worker::main!(my_app::broker)
/// }
/// ```
///
/// | flag | environment | meaning | default |
/// |---|---|---|---|
/// | `--concurrency N` | `TASKQ_CONCURRENCY` | tasks of one queue that run at once, per process | 100 |
/// | `--queues A:50,B` | `TASKQ_QUEUES` | consume only these queues; `:N` sets the concurrency of one | all |
/// | `--workers N` | `TASKQ_WORKERS` | processes, each with `TASKQ_WORKER_INDEX` from 0; one that dies is replaced | 1 |
/// | `--shutdown-timeout D` | `TASKQ_SHUTDOWN_TIMEOUT` | time that running tasks get at shutdown | `25s` |
/// | `--task-timeout D` | `TASKQ_TASK_TIMEOUT` | limit of one run, for tasks that set none | `25m` |
/// | `--log-format F` | `TASKQ_LOG_FORMAT` | `text` or `json`, to stderr; `RUST_LOG` filters | `text` |
///
/// The same program lists its tasks (`tasks`) and works on dead letters (`dead list`, `dead show ID`,
/// `dead replay ID..`); `--help` says more.
///
/// A first SIGTERM or SIGINT stops taking tasks and lets the running ones finish; a second one stops at once. While the
/// broker or the result store cannot be reached at start, the process says so and keeps trying; any other error of the
/// start ends it.
///
/// | exit code | meaning |
/// |---|---|
/// | 0 | stopped as asked; every task that was running has finished |
/// | 1 | the set-up is wrong or the worker failed: stderr says why |
/// | 2 | the command line is wrong |
/// | 3 | stopped as asked; tasks that were still running were given back and will run again |
#[doc(hidden)]
#[macro_export]
macro_rules! __worker_main {
    ($app:path) => {{
        #[allow(unused_imports)]
        use $crate::worker::main::{
            FromAsyncFn as _, FromElse as _, FromFn as _, FromShared as _, FromSharedResult as _,
        };
        let program =
            $crate::worker::main::Program { app: ::core::stringify!($app), version: ::core::env!("CARGO_PKG_VERSION") };
        $crate::worker::main::run(program, || (&&&&&$crate::worker::main::Probe(&$app)).resolve())
    }};
}
