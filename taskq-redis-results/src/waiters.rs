//! Who waits for what in this process, and what of it is to be looked at: one entry per task, however many wait for it.

use crate::trouble::Trouble;
use foldhash::{HashMap, HashSet};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    future::pending,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use taskq_core::{ResultRecord, TaskId};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

/// The first and the longest pause between two looks that nobody asked for.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// So much that is of no use any more may lie about.
const SLACK: usize = 64;

/// What a wait ends with.
#[derive(Debug, Clone)]
pub(crate) enum Last {
    Record(ResultRecord),
    /// There is a record that this release cannot read.
    Unreadable(String),
    /// The server refuses this user.
    Refused(Trouble),
}

impl Last {
    /// Whether a wait for `round` ends with this.
    fn ends(&self, round: u32) -> bool {
        match self {
            Last::Record(record) => record.round >= round,
            Last::Unreadable(_) | Last::Refused(_) => true,
        }
    }
}

/// One task to look at. Nobody else looks at it before [`Waiters::looked`] is told.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) id: TaskId,
    /// Whether the server is to be told first that this process waits for the task.
    pub(crate) enters: Enters,
    /// The entry that it is for.
    pub(crate) entry: u64,
}

/// All who wait.
#[derive(Default)]
pub(crate) struct Waiters {
    state: Mutex<State>,
    /// Told when there is something to look at.
    asked: Notify,
    /// Told when something is waited for where nothing else was.
    wanted: Notify,
}

#[derive(Default)]
struct State {
    entries: HashMap<TaskId, Entry>,
    /// What is to be looked at now. Its entry may be gone.
    asked: VecDeque<TaskId>,
    /// When to look at what by itself, soonest first. Its entry may be gone, or another one.
    due: BinaryHeap<Reverse<(Instant, u64, TaskId)>>,
    /// What the last entry or wait was numbered.
    number: u64,
}

/// One task that is waited for.
struct Entry {
    number: u64,
    waits: Vec<Waiting>,
    /// The look that is asked for, if one is.
    asked: Option<Enters>,
    /// A look is under way.
    is_looked_at: bool,
    /// One that goes on until the server answers. It ends with the entry.
    alone: Option<AbortOnDropHandle<()>>,
    /// The round of the last record that was seen.
    seen: Option<u32>,
    /// Until the next look by itself, once one is due.
    pause: Option<Duration>,
}

type Enters = bool;

impl Entry {
    fn new(number: u64, first: Waiting) -> Self {
        Entry { number, waits: vec![first], asked: None, is_looked_at: false, alone: None, seen: None, pause: None }
    }
}

struct Waiting {
    number: u64,
    round: u32,
    told: oneshot::Sender<Last>,
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Asks for a look at `id`, if it is waited for.
    fn ask(&mut self, id: &TaskId, enters: Enters) -> bool {
        let Some(entry) = self.entries.get_mut(id) else { return false };
        let was_asked = entry.asked.is_some();
        entry.asked = Some(enters || entry.asked == Some(true));
        // Otherwise it is when that look has ended.
        if !was_asked && !entry.is_looked_at {
            self.asked.push_back(id.clone());
        }
        true
    }

    /// Asks for what is due, and gives when the next is.
    fn ask_for_what_is_due(&mut self, now: Instant) -> Option<Instant> {
        while let Some(Reverse((due, ..))) = self.due.peek() {
            if *due > now {
                return Some(*due);
            }
            let Some(Reverse((_, number, id))) = self.due.pop() else { break };
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.number == number) else { continue };
            let (longest, pause) = (PAUSES.1, entry.pause.unwrap_or(PAUSES.0));
            let next = longest.min(pause * 2);
            entry.pause = Some(next);
            self.due.push(Reverse((now + next, number, id.clone())));
            self.ask(&id, pause == longest);
        }
        None
    }

    fn take_asked(&mut self, most: usize, now: Instant) -> Vec<Look> {
        let mut looks = Vec::with_capacity(most.min(self.asked.len()));
        while looks.len() < most
            && let Some(id) = self.asked.pop_front()
        {
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.is_looked_at) else { continue };
            let Some(enters) = entry.asked.take() else { continue };
            entry.is_looked_at = true;
            if entry.pause.is_none() {
                entry.pause = Some(PAUSES.0);
                self.due.push(Reverse((now + PAUSES.0, entry.number, id.clone())));
            }
            looks.push(Look { enters, entry: entry.number, id });
        }
        looks
    }

    fn entry_of(&mut self, look: &Look) -> Option<&mut Entry> {
        self.entries.get_mut(&look.id).filter(|entry| entry.number == look.entry)
    }

    fn remove(&mut self, id: &TaskId) {
        self.entries.remove(id);
        // Those that wait come and go while the server is away, and nobody takes what they asked for.
        let most = 2 * self.entries.len() + SLACK;
        let State { entries, asked, due, .. } = self;
        if asked.len() > most {
            let mut kept = HashSet::default();
            asked.retain(|id| entries.get(id).is_some_and(|entry| entry.asked.is_some()) && kept.insert(id.clone()));
        }
        if due.len() > most {
            due.retain(|Reverse((_, number, id))| entries.get(id).is_some_and(|entry| entry.number == *number));
        }
    }
}

impl Waiters {
    /// Joins those who wait for `id`, and asks for a look unless one that was asked for before will do.
    pub(crate) fn join<'a>(&'a self, id: &'a TaskId, round: u32) -> Wait<'a> {
        let (told, last) = oneshot::channel();
        let mut state = self.state();
        let number = state.next_number();
        let waiting = Waiting { number, round, told };
        let is_asked = match state.entries.get_mut(id) {
            Some(entry) => {
                entry.waits.push(waiting);
                // It is there, and was not what the others wait for.
                entry.seen.is_some_and(|seen| seen >= round) && state.ask(id, false)
            }
            None => {
                state.entries.insert(id.clone(), Entry::new(number, waiting));
                state.ask(id, true)
            }
        };
        let is_first = state.entries.len() == 1;
        drop(state);
        if is_first {
            self.wanted.notify_waiters();
        }
        if is_asked {
            self.asked.notify_one();
        }
        Wait { waiters: self, id, number, last }
    }

    /// Asks for a look at `id`, whose record may have changed.
    pub(crate) fn wake(&self, id: &TaskId) {
        if self.state().ask(id, false) {
            self.asked.notify_one();
        }
    }

    /// Asks for a look at everything: the server may have lost its memory, and with it that this process waits.
    pub(crate) fn wake_all(&self) {
        let mut state = self.state();
        let ids: Vec<TaskId> = state.entries.keys().cloned().collect();
        for id in &ids {
            state.ask(id, true);
        }
        drop(state);
        self.asked.notify_one();
    }

    /// What is to be looked at, `most` of it; resolves when there is something. Nothing is lost by dropping the future.
    pub(crate) async fn looks(&self, most: usize) -> Vec<Look> {
        loop {
            let (looks, due) = {
                let (mut state, now) = (self.state(), Instant::now());
                let due = state.ask_for_what_is_due(now);
                (state.take_asked(most, now), due)
            };
            if !looks.is_empty() {
                return looks;
            }
            match due {
                // It is due then.
                Some(due) => drop(timeout_at(due, self.asked.notified()).await),
                None => self.asked.notified().await,
            }
        }
    }

    /// All that is asked for now.
    pub(crate) fn asked(&self) -> Vec<Look> {
        self.state().take_asked(usize::MAX, Instant::now())
    }

    /// The look goes on by itself; it ends with its entry, which may be gone already.
    pub(crate) fn goes_on(&self, look: &Look, alone: AbortOnDropHandle<()>) {
        if let Some(entry) = self.state().entry_of(look).filter(|entry| entry.is_looked_at) {
            entry.alone = Some(alone);
        }
    }

    /// The look has ended: what was asked for since is looked at now.
    pub(crate) fn looked(&self, look: &Look) {
        let (alone, is_asked) = {
            let mut state = self.state();
            let Some(entry) = state.entry_of(look) else { return };
            entry.is_looked_at = false;
            let (alone, is_asked) = (entry.alone.take(), entry.asked.is_some());
            if is_asked {
                state.asked.push_back(look.id.clone());
            }
            (alone, is_asked)
        };
        // Which may be who says this.
        alone.map(AbortOnDropHandle::detach);
        if is_asked {
            self.asked.notify_one();
        }
    }

    /// Tells those whose wait for `id` ends with what was found.
    pub(crate) fn found(&self, id: &TaskId, last: Last) {
        let ended = {
            let mut state = self.state();
            let Some(entry) = state.entries.get_mut(id) else { return };
            if let Last::Record(record) = &last {
                entry.seen = entry.seen.max(Some(record.round));
            }
            let waits = mem::take(&mut entry.waits);
            let (ended, others): (Vec<_>, Vec<_>) = waits.into_iter().partition(|waiting| last.ends(waiting.round));
            entry.waits = others;
            if entry.waits.is_empty() {
                state.remove(id);
            }
            ended
        };
        tell(ended, last);
    }

    /// Resolves when anything is waited for.
    pub(crate) async fn any(&self) {
        loop {
            // Before looking, so that nothing falls between.
            let wanted = self.wanted.notified();
            if self.len() > 0 {
                return;
            }
            wanted.await;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.state().entries.len()
    }

    fn leave(&self, id: &TaskId, number: u64) {
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(id) else { return };
        entry.waits.retain(|waiting| waiting.number != number);
        if entry.waits.is_empty() {
            state.remove(id);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever waited may have gone.
fn tell(mut ended: Vec<Waiting>, last: Last) {
    let Some(one) = ended.pop() else { return };
    for other in ended {
        let _ = other.told.send(last.clone());
    }
    let _ = one.told.send(last);
}

/// One wait. Dropping it ends it.
pub(crate) struct Wait<'a> {
    waiters: &'a Waiters,
    id: &'a TaskId,
    number: u64,
    last: oneshot::Receiver<Last>,
}

impl Wait<'_> {
    pub(crate) async fn ended(&mut self) -> Last {
        match (&mut self.last).await {
            Ok(last) => last,
            // The sender is kept until it tells.
            Err(_) => pending().await,
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        // One that was told is in no entry.
        if !self.last.is_terminated() {
            // So that nobody is woken by it, under the lock.
            self.last.close();
            self.waiters.leave(self.id, self.number);
        }
    }
}

#[cfg(test)]
mod tests;
