//! Values that are forgotten after a while, each at an instant of its own.

use super::key::Key;
use crate::clock::after;
use foldhash::{HashMap, HashMapExt};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    time::Duration,
};
use tokio::time::Instant;

/// How many expired entries one write clears at most. More than one, so that clearing overtakes writing.
const CLEARED_PER_WRITE: usize = 4;

/// Where so small a part of the memory is used, it is given back.
const SPARE: usize = 8;

/// Values that are there until an instant each.
pub(super) struct Expiring<V> {
    /// All of it is moved when it grows or shrinks, while everybody waits: what is large is better kept in a box.
    values: HashMap<Key, (V, Instant)>,
    /// When to look at a value: at its end, or before.
    looks: BinaryHeap<Reverse<(Instant, Key)>>,
}

impl<V> Default for Expiring<V> {
    fn default() -> Self {
        Expiring { values: HashMap::new(), looks: BinaryHeap::new() }
    }
}

impl<V> Expiring<V> {
    /// How many are kept, expired ones that are not cleared yet included.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// For how many there is memory.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.values.capacity()
    }

    /// How many looks are to come.
    #[cfg(test)]
    pub(super) fn looks(&self) -> usize {
        self.looks.len()
    }

    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<&V> {
        let (value, end) = self.values.get(key)?;
        (*end > now).then_some(value)
    }

    pub(super) fn put(&mut self, key: &Key, value: V, now: Instant, ttl: Duration) {
        self.clear_expired(now);
        let end = after(now, ttl);
        let before = self.values.insert(key.clone(), (value, end));
        if before.is_none_or(|(_, end_before)| end < end_before) {
            self.looks.push(Reverse((end, key.clone())));
        }
    }

    fn clear_expired(&mut self, now: Instant) {
        for _ in 0..CLEARED_PER_WRITE {
            let Some(look) = self.looks.peek_mut().filter(|look| look.0.0 <= now) else { return };
            let Reverse((_, key)) = PeekMut::pop(look);
            match self.values.get(&key) {
                // It was put again meanwhile.
                Some((_, end)) if *end > now => self.looks.push(Reverse((*end, key))),
                _ => drop(self.values.remove(&key)),
            }
            if self.values.len() < self.values.capacity() / SPARE {
                self.values.shrink_to(self.values.len() * 2);
            }
        }
    }
}
