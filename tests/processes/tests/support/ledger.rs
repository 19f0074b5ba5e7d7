//! Where tasks note their runs, so that it is known what a process did that is gone.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};
use taskq_process_tests::history::History;
use tempfile::TempDir;

pub struct Ledger(TempDir);

impl Ledger {
    pub fn new() -> Self {
        Ledger(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("ledger")
    }

    /// What was noted so far, run by run.
    pub fn history(&self) -> History {
        History::read(&self.path())
    }

    /// The lines: what, id, process.
    pub fn lines(&self) -> Vec<(String, String, u32)> {
        let text = std::fs::read_to_string(self.path()).unwrap_or_default();
        // The last line may be on its way to the file.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parsed = whole.lines().map(|line| {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap();
            (word().to_owned(), word().to_owned(), word().parse().unwrap())
        });
        parsed.collect()
    }

    /// How often it was noted, by whichever task and process.
    pub fn count(&self, what: &str) -> usize {
        self.lines().iter().filter(|(noted, ..)| noted == what).count()
    }

    /// How often each task was started.
    pub fn starts(&self) -> HashMap<String, u32> {
        let mut starts = HashMap::new();
        for (_, id, _) in self.lines().into_iter().filter(|(what, ..)| what == "start") {
            *starts.entry(id).or_default() += 1;
        }
        starts
    }

    pub fn ended_in(&self, process: u32) -> HashSet<String> {
        self.noted("end", process)
    }

    /// What a process has begun and not ended.
    pub fn running_in(&self, process: u32) -> HashSet<String> {
        self.noted("start", process).difference(&self.ended_in(process)).cloned().collect()
    }

    fn noted(&self, what: &str, process: u32) -> HashSet<String> {
        let lines = self.lines().into_iter().filter(|(noted, _, by)| noted == what && *by == process);
        lines.map(|(_, id, _)| id).collect()
    }
}
