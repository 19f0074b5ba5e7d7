//! Messages that were handed to one channel and are not confirmed yet.
//!
//! Each has a future of its own, which is done when the server has confirmed it. A future that wakes puts its key in line;
//! keys are taken in that order. See [`super::verdicts`] for why order matters: a future that is found done goes to the end
//! of the line once more before it is settled, so that all that were done by then have been seen.

use super::{
    job::Job,
    verdicts::{Key, Seen, Verdict, Verdicts},
};
use futures_util::{future::BoxFuture, task::AtomicWaker};
use lapin::Confirmation;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};
use taskq_core::TaskId;

/// The server may confirm many at once, and lapin then looks at all that are outstanding.
const MAX_MESSAGES: usize = 512;
const MAX_BYTES: usize = 8 * 1024 * 1024;

pub(super) type Confirming = BoxFuture<'static, Result<Confirmation, lapin::Error>>;

/// The line of keys whose futures have woken.
#[derive(Default)]
struct Line {
    keys: Mutex<VecDeque<Key>>,
    owner: AtomicWaker,
}

impl Line {
    fn push(&self, key: Key) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).push_back(key);
    }

    fn pop(&self) -> Option<Key> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

struct Place {
    key: Key,
    line: Arc<Line>,
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.line.push(self.key);
        self.line.owner.wake();
    }
}

enum State {
    Free,
    Confirming(Confirming),
    Seen(Seen),
    /// Settled, and its verdict still open.
    Open,
    /// The channel died before the confirm came.
    Lost,
}

struct Slot {
    waker: Waker,
    state: State,
    /// Order of handing over.
    serial: u64,
    since: Instant,
    id: TaskId,
    bytes: usize,
    /// `None` once nobody waits for it any more.
    job: Option<Job>,
}

#[derive(Default)]
pub(super) struct Window {
    line: Arc<Line>,
    slots: Vec<Slot>,
    free: Vec<Key>,
    by_id: HashMap<TaskId, Key>,
    verdicts: Verdicts,
    /// Messages whose confirm is outstanding or not settled.
    outstanding: usize,
    bytes: usize,
    handed_over: u64,
    decided: Vec<(Key, Verdict)>,
    /// What the channel died of.
    broken: Option<lapin::Error>,
}

/// What became of a message that somebody waits for.
pub(super) type Decided = (Job, Verdict);

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is room for this message now.
    pub(super) fn has_room_for(&self, job: &Job) -> bool {
        self.by_id.len() < MAX_MESSAGES && (self.bytes + job.bytes() <= MAX_BYTES || self.is_empty())
    }

    /// Whether a message of this id is in the window. Two of one id never are there together: a returned message is known
    /// by its id alone.
    pub(super) fn holds(&self, id: &TaskId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Takes a message whose publishing `confirming` is, and begins it.
    pub(super) fn insert(&mut self, job: Job, confirming: Confirming) {
        let (id, bytes, serial) = (job.id.clone(), job.bytes(), self.handed_over);
        self.handed_over += 1;
        let key = self.free.pop().unwrap_or(self.slots.len());
        let waker = match self.slots.get(key) {
            Some(slot) => slot.waker.clone(),
            None => Arc::new(Place { key, line: self.line.clone() }).into(),
        };
        let (state, since) = (State::Confirming(confirming), Instant::now());
        let slot = Slot { waker, state, serial, since, id: id.clone(), bytes, job: Some(job) };
        match self.slots.get_mut(key) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        self.by_id.insert(id, key);
        self.outstanding += 1;
        self.bytes += bytes;
        // The first poll takes the message's number and queues its frames: it must happen in the order of the calls.
        self.advance(key);
    }

    /// What has been decided since; pending if nothing has.
    ///
    /// # Errors
    /// The channel has died. What is left is in [`Window::drain`].
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<Vec<Decided>, lapin::Error>> {
        self.line.owner.register(cx.waker());
        while let Some(key) = self.line.pop() {
            self.advance(key);
        }
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Err(error));
        }
        if self.outstanding == 0 && self.verdicts.open() > 0 {
            self.verdicts.finish(&mut self.decided);
        }
        match self.release() {
            decided if decided.is_empty() => Poll::Pending,
            decided => Poll::Ready(Ok(decided)),
        }
    }

    fn advance(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        match &mut slot.state {
            State::Confirming(confirming) => match confirming.as_mut().poll(&mut Context::from_waker(&slot.waker)) {
                Poll::Pending => {}
                Poll::Ready(Ok(confirmation)) => {
                    slot.state = State::Seen(see(&mut self.verdicts, &self.by_id, confirmation));
                    self.line.push(key);
                }
                Poll::Ready(Err(error)) => {
                    slot.state = State::Lost;
                    self.broken.get_or_insert(error);
                }
            },
            State::Seen(seen) => {
                let seen = *seen;
                slot.state = State::Open;
                self.outstanding -= 1;
                self.verdicts.settle(key, seen, &mut self.decided);
            }
            // A late wake of an earlier message in this place.
            State::Free | State::Open | State::Lost => {}
        }
    }

    fn release(&mut self) -> Vec<Decided> {
        let mut decided = Vec::new();
        for (key, verdict) in std::mem::take(&mut self.decided) {
            let slot = &mut self.slots[key];
            slot.state = State::Free;
            self.by_id.remove(&slot.id);
            self.bytes -= slot.bytes;
            self.free.push(key);
            if let Some(job) = slot.job.take() {
                decided.push((job, verdict));
            }
        }
        decided
    }

    /// Jobs whose time is over; their messages stay in the window until the server says something.
    pub(super) fn expired(&mut self, mut is_over: impl FnMut(&Job) -> bool) -> Vec<Job> {
        self.slots.iter_mut().filter_map(|slot| slot.job.take_if(|job| is_over(job))).collect()
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.slots.iter().filter_map(|slot| slot.job.as_ref())
    }

    /// When the message was handed over that has waited longest, of those that somebody waits for.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.slots.iter().filter(|slot| slot.job.is_some()).map(|slot| slot.since).min()
    }

    /// Messages in the window that nobody waits for any more.
    pub(super) fn abandoned(&self) -> usize {
        self.by_id.values().filter(|key| self.slots[**key].job.is_none()).count()
    }

    /// Empties the window: what nobody knows the fate of, in the order of handing over.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        let mut left: Vec<(u64, Job)> =
            self.slots.iter_mut().filter_map(|slot| Some((slot.serial, slot.job.take()?))).collect();
        left.sort_unstable_by_key(|(serial, _)| *serial);
        *self = Window::default();
        left.into_iter().map(|(_, job)| job).collect()
    }
}

fn see(verdicts: &mut Verdicts, by_id: &HashMap<TaskId, Key>, confirmation: Confirmation) -> Seen {
    let nacked = confirmation.is_nack();
    let returned = confirmation.take_message();
    let id = returned.as_ref().and_then(|message| message.properties.message_id().as_ref());
    let key = id.and_then(|id| by_id.get(&TaskId::from(id.as_str())).copied());
    verdicts.see(nacked, returned.is_some(), key)
}
