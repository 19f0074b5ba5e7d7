//! The names of keys and channels. The braces keep all keys of one task in one slot of a cluster.

use std::sync::Arc;
use taskq_core::TaskId;

/// What all names start with.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Keys { prefix: prefix.into() }
    }

    /// Whether the prefix leaves the braces of the id as the ones that a cluster looks at.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.prefix.contains(['{', '}']) {
            return Err(format!("the prefix `{}` contains a brace; choose one without", self.prefix));
        }
        Ok(())
    }

    /// How the task ended.
    pub(crate) fn record(&self, id: &TaskId) -> String {
        self.of_task(id, "r")
    }

    /// The processes that wait for the task's end.
    pub(crate) fn waiters(&self, id: &TaskId) -> String {
        self.of_task(id, "w")
    }

    /// The last step of a tracked task.
    pub(crate) fn step(&self, id: &TaskId) -> String {
        self.of_task(id, "s")
    }

    /// Who runs the task, if that is in doubt.
    pub(crate) fn claim(&self, id: &TaskId) -> String {
        self.of_task(id, "c")
    }

    /// Two of them are made for each task.
    fn of_task(&self, id: &TaskId, what: &str) -> String {
        [&*self.prefix, ":{", id.as_str(), "}:", what].concat()
    }

    /// The tasks that `process` runs without a claim. All sets of marks are in one slot.
    pub(crate) fn marks(&self, process: &str) -> String {
        format!("{}:{{marks}}:of:{process}", self.prefix)
    }

    /// The processes that have such sets.
    pub(crate) fn marking(&self) -> String {
        format!("{}:{{marks}}:by", self.prefix)
    }

    /// The channel that `process` listens on.
    pub(crate) fn wake(&self, process: &str) -> String {
        format!("{}:wake:{process}", self.prefix)
    }
}
