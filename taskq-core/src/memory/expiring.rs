//! Values that are forgotten after a while, each at an instant of its own.

use crate::{clock::after, id::TaskId};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, binary_heap::PeekMut},
    time::Duration,
};
use tokio::time::Instant;

/// How many expired entries one write clears at most. More than one, so that clearing overtakes writing.
const CLEARED_PER_WRITE: usize = 4;

/// Values that are there until an instant each.
pub(super) struct Expiring<V> {
    /// No hash map: it copies all that it holds each time it grows, while everybody waits for it.
    values: BTreeMap<TaskId, (V, Instant)>,
    /// When to look at a value: at its end, or before.
    looks: BinaryHeap<Reverse<(Instant, TaskId)>>,
}

impl<V> Default for Expiring<V> {
    fn default() -> Self {
        Expiring { values: BTreeMap::new(), looks: BinaryHeap::new() }
    }
}

impl<V> Expiring<V> {
    /// How many are kept, expired ones that are not cleared yet included.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// How many looks are to come.
    #[cfg(test)]
    pub(super) fn looks(&self) -> usize {
        self.looks.len()
    }

    pub(super) fn get(&self, id: &TaskId, now: Instant) -> Option<&V> {
        let (value, end) = self.values.get(id)?;
        (*end > now).then_some(value)
    }

    pub(super) fn put(&mut self, id: &TaskId, value: V, now: Instant, ttl: Duration) {
        self.clear_expired(now);
        let end = after(now, ttl);
        let before = self.values.insert(id.clone(), (value, end));
        if before.is_none_or(|(_, end_before)| end < end_before) {
            self.looks.push(Reverse((end, id.clone())));
        }
    }

    fn clear_expired(&mut self, now: Instant) {
        for _ in 0..CLEARED_PER_WRITE {
            let Some(look) = self.looks.peek_mut().filter(|look| look.0.0 <= now) else { return };
            let Reverse((_, id)) = PeekMut::pop(look);
            match self.values.get(&id) {
                // It was put again meanwhile.
                Some((_, end)) if *end > now => self.looks.push(Reverse((*end, id))),
                _ => drop(self.values.remove(&id)),
            }
        }
    }
}
