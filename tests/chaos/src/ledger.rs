//! What a process writes down while it still can: one line per event, each in one write to a file of its own.

use crate::{clock, clock::Instant, plan::Plan};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The reason of an end that only others saw: they give what the connection held to somebody else, and it goes on.
pub(crate) const CUT_OFF: &str = "its node was down to another one";

/// One line of a ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) at: Instant,
    /// Milliseconds since 1970.
    pub(crate) wall: u64,
    /// The process that wrote it, such as `worker-0.3`: the third process in the place of `worker-0`.
    pub(crate) process: String,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// What happened. A `tag` is the name that its publisher gave a task before it was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// Written before the task is sent.
    Submit {
        tag: String,
        plan: Plan,
    },
    /// The library said that the task was sent.
    Confirmed {
        tag: String,
        id: String,
    },
    /// The library said that the task was not sent.
    Refused {
        tag: String,
        error: String,
    },
    /// The library said that it does not know.
    Unknown {
        tag: String,
        error: String,
    },
    /// A waiter was told the result.
    Heard {
        tag: String,
        done: bool,
    },
    /// A waiter heard nothing.
    NotHeard {
        tag: String,
        error: String,
    },

    /// A run's body began.
    Start {
        tag: String,
        id: String,
        attempt: u32,
    },
    /// It ended, or was dropped.
    End {
        tag: String,
        attempt: u32,
        how: How,
    },
    /// The body is about to kill its process.
    Abort {
        tag: String,
    },
    /// The worker decided what follows a run.
    Decided {
        id: String,
        attempt: u32,
        verdict: Decision,
    },
    /// The worker acknowledged a message, or gave it back.
    Settled {
        id: String,
        attempt: u32,
        acked: bool,
    },
    /// A connection of this process is gone, as the process itself saw it.
    LostConnection {
        connection: String,
    },
    /// A consumer of this process is gone, as the process itself saw it.
    LostConsumer {
        error: String,
    },
    /// A claim of this process was not renewed in time.
    NotRenewed {
        id: String,
    },
    /// A run is about to be claimed here, or, of a suspect, to begin.
    AboutToBegin {
        id: String,
    },
    /// Another worker has the run: this one's outcome is not used.
    TakenOver {
        id: String,
    },

    /// A process was started.
    Spawned {
        name: String,
        pid: u32,
    },
    /// A process is about to be killed.
    Kill {
        name: String,
    },
    /// A process has ended.
    Exited {
        name: String,
        status: String,
    },
    /// A process was stopped as a debugger does, or goes on.
    Frozen {
        name: String,
    },
    Thawed {
        name: String,
    },
    /// The broker or the line to it ended a connection of the process `name`.
    ConnectionEnded {
        name: String,
        reason: String,
    },
    /// A broker's node, counted from 0, is about to be killed.
    NodeKilled {
        node: usize,
    },
    /// A broker's node, by its name, handed nothing on any more.
    NodeRestarted {
        node: String,
    },
    /// The memory that a process holds.
    Memory {
        name: String,
        kilobytes: u64,
    },
    Phase {
        phase: Phase,
    },
    FaultBegan {
        fault: u32,
        kind: String,
        target: String,
        in_flight: usize,
    },
    FaultEnded {
        fault: u32,
    },
    /// A fault that could not be made.
    FaultFailed {
        fault: u32,
        error: String,
    },
}

/// How a run's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Done,
    Failed,
    Panicked,
    Dropped,
}

/// What a worker decided, as far as the checker needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    Finished,
    DeadLetter,
    Retry,
    GivenBack,
    Other,
}

/// What a run goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    WarmUp,
    Faults,
    Heal,
    Drain,
    Check,
}

/// Where one process writes.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    file: Arc<File>,
    process: String,
}

impl Ledger {
    pub(crate) fn open(directory: &Path, process: &str) -> io::Result<Ledger> {
        fs::create_dir_all(directory)?;
        let file = File::options().create(true).append(true).open(directory.join(format!("{process}.jsonl")))?;
        Ok(Ledger { file: Arc::new(file), process: process.to_owned() })
    }

    /// A line that cannot be written would make the ledger lie: the process ends.
    pub(crate) fn note(&self, event: Event) {
        self.note_at(Instant::now(), event);
    }

    pub(crate) fn note_at(&self, at: Instant, event: Event) {
        let line = Line { at, wall: clock::wall(), process: self.process.clone(), event };
        let written = serde_json::to_vec(&line).map_err(io::Error::from).and_then(|mut text| {
            text.push(b'\n');
            (&*self.file).write_all(&text)
        });
        if written.is_err() {
            std::process::abort();
        }
    }
}

/// Reads ledgers as they grow.
#[derive(Debug)]
pub(crate) struct Reader {
    directory: PathBuf,
    positions: std::collections::HashMap<PathBuf, u64>,
}

impl Reader {
    pub(crate) fn new(directory: &Path) -> Reader {
        Reader { directory: directory.to_owned(), positions: std::collections::HashMap::default() }
    }

    /// All whole lines since the last call, file by file. A last line that a killed process left unfinished is not read.
    pub(crate) fn read(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                self.read_file(path, &mut lines)?;
            }
        }
        Ok(lines)
    }

    fn read_file(&mut self, path: PathBuf, lines: &mut Vec<Line>) -> io::Result<()> {
        let mut file = File::open(&path)?;
        let position = self.positions.entry(path).or_default();
        file.seek(SeekFrom::Start(*position))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        *position += u64::try_from(whole).unwrap_or(u64::MAX);
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            lines.push(serde_json::from_slice(line)?);
        }
        Ok(())
    }
}
