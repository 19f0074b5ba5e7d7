//! One queue: what waits, what is delayed, what is being worked on, and who consumes.

use crate::{
    broker::QueueInfo,
    delivery::Settlement,
    error::BrokerError,
    message::{Content, Epitaph},
    queue::QueueSpec,
};
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, task::Waker};
use tokio::{runtime, sync::Notify, time::Instant};

/// A message's place: higher priorities first, then the order of publishing. Giving back restores it.
type Place = (Reverse<u8>, u64);

/// One message.
pub(super) struct Entry {
    pub(super) content: Content,
    pub(super) epitaph: Option<Box<Epitaph>>,
    redelivered: bool,
    /// The runtime that published it.
    home: Option<runtime::Id>,
    /// The consumer that gave it back, and the one that waited meanwhile.
    passed_on: Option<(u64, u64)>,
}

impl Entry {
    pub(super) fn new(content: Content, epitaph: Option<Box<Epitaph>>, home: Option<runtime::Id>) -> Self {
        Entry { content, epitaph, redelivered: false, home, passed_on: None }
    }

    fn priority(&self) -> u8 {
        match &self.content {
            Content::Task(message) => message.priority.unwrap_or(0),
            Content::Foreign(_) => 0,
        }
    }
}

/// Somebody who takes messages.
struct Taker {
    home: Option<runtime::Id>,
    credit: usize,
    waker: Option<Waker>,
}

/// What a consumer is told when it asks for a message.
pub(super) enum Next {
    Take {
        tag: u64,
        content: Content,
        epitaph: Option<Box<Epitaph>>,
        redelivered: bool,
    },
    /// Nothing now; look again at this instant, if there is one, or when woken.
    Wait(Option<Instant>),
    Ended,
}

pub(super) struct Queue {
    spec: QueueSpec,
    ready: BTreeMap<Place, Entry>,
    delayed: BTreeMap<(Instant, u64), Entry>,
    taken: BTreeMap<u64, (u64, Entry)>,
    takers: BTreeMap<u64, Taker>,
    /// Told whenever a place comes free, one among those that are due and one among the delayed ones.
    room: Arc<Notify>,
    delayed_room: Arc<Notify>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(spec: QueueSpec) -> Self {
        Queue {
            spec,
            ready: BTreeMap::new(),
            delayed: BTreeMap::new(),
            taken: BTreeMap::new(),
            takers: BTreeMap::new(),
            room: Arc::default(),
            delayed_room: Arc::default(),
            closed: false,
        }
    }

    pub(super) fn check_same(&self, wanted: &QueueSpec) -> Result<(), BrokerError> {
        let show =
            |spec: &QueueSpec| spec.highest_priority().map_or_else(|| "none".to_owned(), |highest| highest.to_string());
        if wanted.kind() == crate::QueueKind::Existing || self.spec.highest_priority() == wanted.highest_priority() {
            return Ok(());
        }
        Err(BrokerError::Mismatch {
            queue: wanted.name().to_owned(),
            argument: "priorities".to_owned(),
            wanted: show(wanted),
            found: show(&self.spec),
        })
    }

    pub(super) fn has_room(&self, capacity: usize, delayed: bool) -> bool {
        if delayed { self.delayed.len() < capacity } else { self.ready.len() + self.taken.len() < capacity }
    }

    /// Told whenever a place for such a message comes free.
    pub(super) fn room(&self, delayed: bool) -> Arc<Notify> {
        if delayed { self.delayed_room.clone() } else { self.room.clone() }
    }

    /// A queue of dead letters is never worked off by itself, so it does not count.
    pub(super) fn is_idle(&self) -> bool {
        self.spec.is_dead_letters() || (self.ready.is_empty() && self.delayed.is_empty() && self.taken.is_empty())
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Entry> {
        self.ready.values()
    }

    /// Gives those who are to be woken for it.
    #[must_use]
    pub(super) fn put(&mut self, key: u64, entry: Entry, due: Option<Instant>, capacity: usize) -> Vec<Waker> {
        match due {
            Some(due) => drop(self.delayed.insert((due, key), entry)),
            None => self.make_ready(key, entry),
        }
        if self.spec.is_dead_letters() && self.ready.len() > capacity {
            tracing::warn!(
                queue = self.spec.name(),
                capacity,
                "too many dead letters in memory: the oldest is forgotten"
            );
            self.ready.pop_first();
        }
        self.wakers().collect()
    }

    fn make_ready(&mut self, key: u64, entry: Entry) {
        let priority = if self.spec.highest_priority().is_some() { entry.priority() } else { 0 };
        self.ready.insert((Reverse(priority), key), entry);
    }

    fn wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.takers.values_mut().filter_map(|taker| taker.waker.take())
    }

    fn wake_all(&mut self) {
        self.wakers().for_each(Waker::wake);
    }

    pub(super) fn add_taker(&mut self, id: u64, prefetch: usize, home: Option<runtime::Id>) {
        self.takers.insert(id, Taker { home, credit: prefetch, waker: None });
    }

    pub(super) fn remove_taker(&mut self, id: u64) {
        self.takers.remove(&id);
        // What waited for it may go to others now.
        self.wake_all();
    }

    /// The next message for this consumer; `limit` bounds how many may be taken over all consumers.
    pub(super) fn next(&mut self, id: u64, limit: Option<usize>, waker: &Waker) -> Next {
        if self.closed || !self.takers.contains_key(&id) {
            return Next::Ended;
        }
        self.ripen();
        let may_take = limit.is_none_or(|limit| self.taken.len() < limit);
        let place = if may_take { self.place_for(id) } else { None };
        let next_due = self.delayed.first_key_value().map(|((due, _), _)| *due);
        let Some(taker) = self.takers.get_mut(&id) else { return Next::Ended };
        let Some((place, entry)) = place.and_then(|place| self.ready.remove_entry(&place)) else {
            taker.waker = Some(waker.clone());
            return Next::Wait(next_due);
        };
        taker.credit -= 1;
        let (content, epitaph, redelivered) = (entry.content.clone(), entry.epitaph.clone(), entry.redelivered);
        self.taken.insert(place.1, (id, entry));
        Next::Take { tag: place.1, content, epitaph, redelivered }
    }

    /// The first message that this consumer may take. One that was published on another consumer's runtime is left to
    /// that consumer, so that a task runs where it was submitted.
    fn place_for(&self, id: u64) -> Option<Place> {
        let taker = self.takers.get(&id).filter(|taker| taker.credit > 0)?;
        let may_take = |entry: &Entry| self.is_for(taker, entry) && !self.is_passed_on_by(id, entry);
        self.ready.iter().find(|(_, entry)| may_take(entry)).map(|(place, _)| *place)
    }

    fn is_for(&self, taker: &Taker, entry: &Entry) -> bool {
        entry.home == taker.home || !self.takers.values().any(|other| other.home == entry.home)
    }

    /// Whether this consumer gave it back while another one waited, which still may take it: otherwise it would get it
    /// back at once, and the other one never.
    fn is_passed_on_by(&self, id: u64, entry: &Entry) -> bool {
        let may_take = |to: u64| self.takers.get(&to).is_some_and(|taker| taker.credit > 0);
        entry.passed_on.is_some_and(|(by, to)| by == id && may_take(to))
    }

    /// Another consumer that waits for a message such as this.
    fn waiting_beside(&self, id: u64, entry: &Entry) -> Option<u64> {
        let waits = |taker: &Taker| taker.credit > 0 && taker.waker.is_some() && self.is_for(taker, entry);
        self.takers.iter().find(|(other, taker)| **other != id && waits(taker)).map(|(other, _)| *other)
    }

    /// Makes ready what has come due.
    fn ripen(&mut self) {
        if self.delayed.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
        {
            let ((_, key), entry) = first.remove_entry();
            self.make_ready(key, entry);
            self.delayed_room.notify_one();
            self.wake_all();
        }
    }

    pub(super) fn settle(&mut self, tag: u64, settlement: Settlement) {
        let Some((id, mut entry)) = self.taken.remove(&tag) else { return };
        if let Some(taker) = self.takers.get_mut(&id) {
            taker.credit += 1;
        }
        match settlement {
            Settlement::Ack => self.room.notify_one(),
            Settlement::Requeue => {
                entry.redelivered = true;
                entry.passed_on = self.waiting_beside(id, &entry).map(|other| (id, other));
                self.make_ready(tag, entry);
            }
        }
        // One more may be taken now.
        if !self.ready.is_empty() {
            self.wake_all();
        }
    }

    pub(super) fn inspect(&mut self) -> QueueInfo {
        self.ripen();
        QueueInfo::new(self.ready.len() as u64, Some(self.taken.len() as u64), self.takers.len() as u64)
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.room.notify_waiters();
        self.delayed_room.notify_waiters();
        self.wake_all();
    }
}
