//! What the ledger tells about the runs of each task, in the order in which it happened.

use std::{collections::HashSet, fmt, path::Path};
use taskq::TaskId;

/// One note of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `start`, `end` or `broken`.
    pub what: String,
    /// The task.
    pub id: String,
    /// The process that ran it.
    pub process: u32,
    /// The number of the run.
    pub attempt: u32,
    /// The wall clock, in milliseconds.
    pub at: u64,
}

/// All notes, or some of them. Its `Display` is the timeline.
#[derive(Debug, Clone, Default)]
pub struct History(Vec<Note>);

impl History {
    /// What was noted so far.
    pub fn read(ledger: &Path) -> Self {
        let text = std::fs::read_to_string(ledger).unwrap_or_default();
        // The last line may be on its way to the file.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        History(whole.lines().filter_map(parse).collect())
    }

    /// The notes of one task.
    pub fn of(&self, id: &TaskId) -> History {
        self.filter(|note| note.id == id.as_str())
    }

    /// The notes of one number of run.
    pub fn attempt(&self, attempt: u32) -> History {
        self.filter(|note| note.attempt == attempt)
    }

    /// The notes of one process.
    pub fn within(&self, process: u32) -> History {
        self.filter(|note| note.process == process)
    }

    /// How often it was noted.
    pub fn count(&self, what: &str) -> usize {
        self.0.iter().filter(|note| note.what == what).count()
    }

    /// How many runs have begun and not ended. Those of a killed process never end.
    pub fn running(&self) -> usize {
        self.count("start") - self.count("end") - self.count("broken")
    }

    /// The tasks that were started.
    pub fn ids(&self) -> HashSet<String> {
        self.0.iter().map(|note| note.id.clone()).collect()
    }

    fn filter(&self, keep: impl Fn(&Note) -> bool) -> History {
        History(self.0.iter().filter(|note| keep(note)).cloned().collect())
    }
}

fn parse(line: &str) -> Option<Note> {
    let mut words = line.split(' ');
    let (what, id) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (process, attempt) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Note { what, id, process, attempt, at: words.next()?.parse().ok()? })
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.first().map_or(0, |note| note.at);
        for Note { what, id, process, attempt, at } in &self.0 {
            writeln!(f, "{:6} ms  {what:6} {id} attempt {attempt} in process {process}", at - first)?;
        }
        Ok(())
    }
}
