//! The tasks that this process can run, by name.

use crate::{error::WorkerError, task::TaskDef};
use foldhash::HashMap;
use std::{collections::hash_map::Entry, sync::Arc};

/// Tasks by name; built once per app.
#[derive(Debug, Default)]
pub(crate) struct Registry(HashMap<&'static str, Arc<TaskDef>>);

impl Registry {
    /// All tasks that `#[task]` defined in this program, and those registered by hand.
    pub(crate) fn build(by_hand: &[TaskDef]) -> Result<Self, WorkerError> {
        let mut tasks = Registry::default();
        for def in inventory::iter::<TaskDef>.into_iter().copied().chain(by_hand.iter().copied()) {
            tasks.add(def)?;
        }
        Ok(tasks)
    }

    fn add(&mut self, def: TaskDef) -> Result<(), WorkerError> {
        match self.0.entry(def.name) {
            Entry::Vacant(place) => drop(place.insert(Arc::new(def))),
            // The same task, by attribute and by hand.
            Entry::Occupied(there) if (there.get().type_id)() == (def.type_id)() => {}
            Entry::Occupied(there) => {
                return Err(WorkerError::DuplicateTask {
                    name: def.name.to_owned(),
                    first: there.get().location.to_string(),
                    second: def.location.to_string(),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<TaskDef>> {
        self.0.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &TaskDef> {
        self.0.values().map(|def| &**def)
    }

    /// All tasks, by name.
    pub(crate) fn sorted(&self) -> Vec<TaskDef> {
        let mut tasks: Vec<TaskDef> = self.iter().copied().collect();
        tasks.sort_by_key(|def| def.name);
        tasks
    }
}
