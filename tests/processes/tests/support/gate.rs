//! What holds up gated tasks until a test lets them through.

use tempfile::TempDir;

pub struct Gate(TempDir);

impl Gate {
    pub fn closed() -> Self {
        Gate(tempfile::tempdir().unwrap())
    }

    /// What a gated task is told.
    pub fn path(&self) -> String {
        self.0.path().join("gate").to_str().unwrap().to_owned()
    }

    pub fn open(&self) {
        std::fs::write(self.path(), "").unwrap();
    }

    /// Lets only the runs of one process through.
    pub fn open_to(&self, process: u32) {
        std::fs::write(format!("{}.{process}", self.path()), "").unwrap();
    }
}
