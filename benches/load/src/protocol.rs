//! What the load program and the processes that it starts say to each other: orders on the command line, cues on stdin,
//! answers on stdout, one line of JSON each.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The first argument of a process that has a role.
pub(crate) const ROLE: &str = "role";

/// The cue to begin.
pub(crate) const GO: &str = "go";

/// The cue to end what has no end of its own.
pub(crate) const STOP: &str = "stop";

/// Values by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    /// lapin and redis, and nothing between them and the work.
    Floor,
    Taskq,
}

/// What the queues are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum Kind {
    Quorum,
    Classic,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Quorum => "quorum",
            Kind::Classic => "classic",
        }
    }
}

/// Where the work is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) amqp: String,
    pub(crate) redis: String,
    /// What all keys of this run of the program begin with.
    pub(crate) prefix: String,
    pub(crate) kind: Kind,
    /// Filled and consumed evenly. They exist.
    pub(crate) queues: Vec<String>,
    /// Bytes of text that each task has as an argument; none where it is 0.
    pub(crate) text: usize,
}

/// How tasks are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Publishing {
    /// So many unconfirmed at any time, raw.
    Floor { in_flight: usize },
    /// So many callers, who share one task that owns the channel and waits for the confirms of a batch together: the shape
    /// that a publisher must have, without anything in it.
    Shape { callers: u64 },
    /// So many callers, each waiting for its own `kiq`.
    Callers(u64),
    /// All by one `kiq_many`.
    Many,
}

/// How tasks are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Working {
    /// Raw: each task by itself, with its own commands to Redis and its own ack.
    OneByOne(Threads),
    /// Raw: for all that has arrived one pipeline to Redis and one ack.
    Together,
    /// Raw: one ack for all that has arrived, and nothing else.
    Acks,
    /// Raw: for all that has arrived its copies into the delay levels, and one ack when they are confirmed.
    Retries,
    /// A spawn, a look-up, a time limit and a panic guard per task, one task that settles: the shape that a worker must
    /// have, without anything in it.
    Shape,
    /// taskq's worker with a result backend.
    Taskq,
    /// taskq's worker without one.
    TaskqWithoutResults,
}

/// What a raw program runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Threads {
    /// What `#[tokio::main]` gives.
    Default,
    /// Whatever is fastest for a program that has one task only.
    One,
}

/// What a worker notes of each task, beside counting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Noting {
    Nothing,
    /// How long it waited, from when it was to be published.
    Waits,
    /// When it was settled.
    Settlements,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Publishes so many tasks. The delay is that of the tasks or, for those that fail, of their second runs.
    Publish { how: Publishing, task: Task, tasks: u64, delay_millis: u64 },
    /// Works until it has done so many tasks or, without a number, until it is told to stop.
    Work { how: Working, concurrency: usize, tasks: Option<u64>, noting: Noting },
    /// Publishes at a fixed rate, whatever becomes of it, and waits for the result of every so manieth task.
    Pace { side: Side, per_second: f64, tasks: u64, waited_for: u64 },
    /// Publishes one task, waits for its result, publishes the next.
    RoundTrip { side: Side, tasks: u64 },
    /// Waits for the results of so many tasks at once; all waits stand before the cue.
    Handles { side: Side, tasks: u64 },
    /// Is connected as a worker is, and has nothing to do.
    Idle { side: Side },
    /// Runs so many tasks that sleep.
    Sleep { tasks: u64 },
    /// So many callers in one process, each waiting for the result of each of its tasks.
    InMemory { side: Side, callers: u64, tasks: u64 },
}

/// Which task is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Its result is stored.
    Kept,
    /// It stores no result.
    Forgotten,
    /// Its first run fails, and its argument says after how many milliseconds it runs again.
    Fails,
    /// It sleeps for longer than anybody looks.
    Sleeps,
}

/// All that a process must know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) place: Place,
    pub(crate) role: Role,
}

/// What a process says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// It is connected and waits for its cue.
    Ready,
    Done(Report),
}

/// What a process found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) tasks: u64,
    /// How long that took.
    pub(crate) seconds: f64,
    /// CPU seconds of the process meanwhile.
    pub(crate) cpu: f64,
    /// Everything else.
    pub(crate) figures: Figures,
}
