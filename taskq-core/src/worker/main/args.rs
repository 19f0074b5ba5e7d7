//! The flags and subcommands of a worker program.

use super::{dead::DeadCommand, run::Program};
use crate::{defaults::SHUTDOWN_TIMEOUT, span::IntoSpan, worker::Worker};
use clap::{CommandFactory, FromArgMatches};
use std::{fmt, str::FromStr, time::Duration};

/// The whole command line.
#[derive(Debug, clap::Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) flags: WorkerFlags,
    /// This process belongs to another one, which holds the other end of its standard input: a byte asks it to stop, a
    /// second one to stop at once, and the end of it means that the other process is gone. May be said twice: one of
    /// several processes gets all flags of the first one, and this one.
    #[arg(long, hide = true, overrides_with = "parent_pipe")]
    pub(super) parent_pipe: bool,
    /// This process is one of several: do what one does.
    #[arg(long, hide = true)]
    pub(super) worker_index: Option<u32>,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the tasks that this program can run
    Tasks {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List, show and replay tasks that were given up on
    #[command(subcommand)]
    Dead(DeadCommand),
}

/// What can be said about a worker.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerFlags {
    /// Tasks of one queue that run at once, per process [default: 100]
    #[arg(long, value_name = "N", env = "TASKQ_CONCURRENCY", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: Option<u32>,
    /// Consume only these queues; `:N` sets the concurrency of one
    #[arg(long, value_name = "QUEUE[:N],..", env = "TASKQ_QUEUES", value_delimiter = ',')]
    pub queues: Vec<QueueFlag>,
    /// Processes; one that dies is replaced
    #[arg(long, value_name = "N", env = "TASKQ_WORKERS", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub workers: u32,
    /// Time that running tasks get at shutdown [default: 25s]
    #[arg(long, value_name = "TIME", env = "TASKQ_SHUTDOWN_TIMEOUT", value_parser = span)]
    pub shutdown_timeout: Option<Duration>,
    /// Limit of one run, for tasks that set none [default: 25m]
    #[arg(long, value_name = "TIME", env = "TASKQ_TASK_TIMEOUT", value_parser = positive_span)]
    pub task_timeout: Option<Duration>,
    /// How log lines are written, to stderr; RUST_LOG filters them
    #[arg(long, value_name = "FORMAT", env = "TASKQ_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// One entry of `--queues`: `mail`, or `mail:50`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFlag {
    /// The queue.
    pub name: String,
    /// Its own concurrency.
    pub concurrency: Option<u32>,
}

impl Args {
    /// The command line of this process. A wrong one ends the process with code 2.
    pub(super) fn of(program: &Program) -> Self {
        let about = format!("Runs the tasks of `{}`", program.app);
        let command = Args::command().about(about).version(program.version).after_help(
            "A first SIGTERM or Ctrl-C lets running tasks finish, a second one stops at once.\n\
             Exit codes: 0 stopped as asked, 1 wrong set-up or failure, 2 wrong command line, 3 running tasks were given back.",
        );
        Args::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

impl WorkerFlags {
    /// Tells `worker` what the flags say.
    pub(super) fn apply(&self, mut worker: Worker) -> Worker {
        if let Some(concurrency) = self.concurrency {
            worker = worker.concurrency(concurrency as usize);
        }
        for queue in &self.queues {
            worker = match queue.concurrency {
                Some(concurrency) => worker.queue_with(&queue.name, concurrency as usize),
                None => worker.queue(&queue.name),
            };
        }
        if let Some(timeout) = self.task_timeout {
            worker = worker.task_timeout(timeout);
        }
        worker.shutdown_timeout(self.shutdown_timeout())
    }

    pub(super) fn shutdown_timeout(&self) -> Duration {
        self.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT)
    }

    /// The command line that says the same.
    pub fn to_args(&self) -> Vec<String> {
        let mut args = vec![format!("--workers={}", self.workers), format!("--log-format={}", self.log_format)];
        if let Some(concurrency) = self.concurrency {
            args.push(format!("--concurrency={concurrency}"));
        }
        for queue in &self.queues {
            args.push(format!("--queues={queue}"));
        }
        if let Some(timeout) = self.shutdown_timeout {
            args.push(format!("--shutdown-timeout={}", humantime::format_duration(timeout)));
        }
        if let Some(timeout) = self.task_timeout {
            args.push(format!("--task-timeout={}", humantime::format_duration(timeout)));
        }
        args
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

impl FromStr for QueueFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, concurrency) = match text.rsplit_once(':') {
            None => (text, None),
            Some((name, number)) => {
                let wrong = || format!("`{number}` is not a number of tasks, as in `mail:50`");
                let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
                (name, Some(number))
            }
        };
        match name {
            "" => Err("a queue's name is empty".to_owned()),
            _ => Ok(QueueFlag { name: name.to_owned(), concurrency }),
        }
    }
}

impl fmt::Display for QueueFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.concurrency {
            Some(concurrency) => write!(f, "{}:{concurrency}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn span(text: &str) -> Result<Duration, String> {
    text.into_span()
}

fn positive_span(text: &str) -> Result<Duration, String> {
    match text.into_span()? {
        Duration::ZERO => Err("a task needs some time to run".to_owned()),
        span => Ok(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        worker: WorkerFlags,
    }

    fn flags(line: &str) -> Result<WorkerFlags, String> {
        let words = std::iter::once("worker").chain(line.split_whitespace());
        Flags::try_parse_from(words).map(|flags| flags.worker).map_err(|error| error.to_string())
    }

    #[test]
    fn every_flag_is_read() {
        let line = "--concurrency 8 --queues a:50,b.c --queues d --workers 2 --shutdown-timeout 1m30s --task-timeout 5m --log-format json";
        let flags = flags(line).unwrap();
        assert_eq!(flags.concurrency, Some(8));
        assert_eq!(flags.queues.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:50", "b.c", "d"]);
        assert_eq!(flags.workers, 2);
        assert_eq!(flags.shutdown_timeout(), Duration::from_secs(90));
        assert_eq!(flags.task_timeout, Some(Duration::from_secs(300)));
        assert_eq!(flags.log_format, LogFormat::Json);
    }

    #[test]
    fn the_same_is_read_from_what_is_passed_on() {
        let line = "--concurrency 8 --queues a:50,b --workers 2 --shutdown-timeout 1500ms --task-timeout 5m";
        let first = flags(line).unwrap();
        let second = flags(&first.to_args().join("\t").replace(' ', "")).unwrap();
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, says) in [
            ("--concurrency 0", "1.."),
            ("--workers 0", "1..=1024"),
            ("--queues a:many", "not a number of tasks"),
            ("--queues a,,b", "name is empty"),
            ("--queues a:0", "not a number of tasks"),
            ("--shutdown-timeout soon", "not a duration"),
            ("--task-timeout 0s", "needs some time"),
            ("--log-format xml", "json"),
        ] {
            let error = flags(line).expect_err(line);
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}
