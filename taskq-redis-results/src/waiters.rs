//! Who waits for what in this process: one entry per task, however many wait for it.

use foldhash::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use taskq_core::{ResultRecord, TaskId};
use tokio::sync::{Notify, watch};

use crate::trouble::Trouble;

/// What is known of a task that is waited for.
#[derive(Debug, Clone, Default)]
pub(crate) enum Seen {
    #[default]
    Nothing,
    Record(Arc<ResultRecord>),
    /// There is a record that this release cannot read.
    Unreadable(String),
    /// The server refuses this user.
    Refused(Trouble),
}

impl Seen {
    /// Whether a wait for `round` ends with this.
    pub(crate) fn ends(&self, round: u32) -> bool {
        match self {
            Seen::Nothing => false,
            Seen::Record(record) => record.round >= round,
            Seen::Unreadable(_) | Seen::Refused(_) => true,
        }
    }
}

/// One task that is waited for.
#[derive(Default)]
pub(crate) struct Entry {
    /// Its receivers are those who wait.
    pub(crate) seen: watch::Sender<Seen>,
    /// Told when the record may have changed.
    pub(crate) wake: Notify,
}

/// All entries of this process.
#[derive(Default)]
pub(crate) struct Waiters {
    entries: Mutex<HashMap<TaskId, Arc<Entry>>>,
    waited_for: watch::Sender<usize>,
}

impl Waiters {
    /// Joins those who wait for `id`. The entry comes with it if this is the first of them: someone must follow it now.
    pub(crate) fn join(&self, id: &TaskId) -> (watch::Receiver<Seen>, Option<Arc<Entry>>) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(id) {
            return (entry.seen.subscribe(), None);
        }
        let entry = Arc::new(Entry::default());
        let seen = entry.seen.subscribe();
        entries.insert(id.clone(), entry.clone());
        self.waited_for.send_replace(entries.len());
        (seen, Some(entry))
    }

    /// Tells whoever follows `id` to look again. The notice is kept if they are busy.
    pub(crate) fn wake(&self, id: &TaskId) {
        if let Some(entry) = self.entries().get(id) {
            entry.wake.notify_one();
        }
    }

    /// Ends the entry unless someone waits for it still, or again.
    pub(crate) fn leave_if_unwanted(&self, id: &TaskId) -> bool {
        let mut entries = self.entries();
        let unwanted = entries.get(id).is_none_or(|entry| entry.seen.receiver_count() == 0);
        if unwanted {
            entries.remove(id);
            self.waited_for.send_replace(entries.len());
        }
        unwanted
    }

    /// Ends the entry and all its waits with `last`; a later wait begins anew.
    pub(crate) fn leave_with(&self, id: &TaskId, last: Seen) {
        let mut entries = self.entries();
        if let Some(entry) = entries.remove(id) {
            entry.seen.send_replace(last);
        }
        self.waited_for.send_replace(entries.len());
    }

    /// Resolves when anything is waited for.
    pub(crate) async fn any(&self) {
        let mut waited_for = self.waited_for.subscribe();
        // The sender is a field of this.
        let _ = waited_for.wait_for(|count| *count > 0).await;
    }

    pub(crate) fn len(&self) -> usize {
        *self.waited_for.borrow()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_waits_for_one_task_share_an_entry_that_ends_with_the_last() {
        let (waiters, id) = (Waiters::default(), TaskId::new());
        let (first, entry) = waiters.join(&id);
        assert!(entry.is_some());
        let (second, none) = waiters.join(&id);
        assert!(none.is_none());
        drop(first);
        assert!(!waiters.leave_if_unwanted(&id));
        drop(second);
        assert!(waiters.leave_if_unwanted(&id));
        assert_eq!(waiters.len(), 0);
    }

    #[tokio::test]
    async fn a_wake_that_comes_while_nobody_listens_is_kept() {
        let (waiters, id) = (Waiters::default(), TaskId::new());
        let (_seen, entry) = waiters.join(&id);
        waiters.wake(&id);
        entry.unwrap().wake.notified().await;
    }
}
