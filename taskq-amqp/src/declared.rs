//! The queues that this broker declared, as they were described.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use taskq_core::{QueueKind, QueueSpec};

#[derive(Default)]
pub(crate) struct Declared(Mutex<HashMap<String, QueueSpec>>);

impl Declared {
    pub(crate) fn remember(&self, spec: &QueueSpec) {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.insert(spec.name().to_owned(), spec.clone());
    }

    /// How to declare this queue again. `None` for one that is not ours to declare.
    pub(crate) fn get(&self, name: &str) -> Option<QueueSpec> {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.get(name).filter(|spec| spec.kind() != QueueKind::Existing).cloned()
    }
}
