//! Messages that were handed to one channel and are not confirmed yet.
//!
//! Each has a future of its own, which is done when the server has confirmed it. A future that wakes puts its place in line;
//! places are taken in that order. See [`super::verdicts`] for why order matters: a future that is found done goes to the end
//! of the line once more before it is settled, so that all that were done by then have been seen.

use super::{
    job::Job,
    verdicts::{Key, Seen, Verdict, Verdicts},
    wakes::{Look, Place, Wakes},
};
use foldhash::HashMap;
use lapin::Confirmation;
use std::{
    task::{Context, Poll, Waker},
    time::Instant,
};
use taskq_core::{TaskId, defaults::KIQ_MANY_IN_FLIGHT};
use tokio_util::sync::ReusableBoxFuture;

/// The server may confirm many at once, and lapin then looks at all that are outstanding.
const MAX_MESSAGES: usize = 512;
/// A message that has to wait for its turn calls the keeper; those of one `kiq_many` need not.
const _: () = assert!(KIQ_MANY_IN_FLIGHT <= MAX_MESSAGES);
const MAX_BYTES: usize = 8 * 1024 * 1024;

type Confirmed = Result<Confirmation, lapin::Error>;

#[derive(Clone, Copy)]
enum State {
    Free,
    Confirming,
    Seen(Seen),
    /// Settled, and its verdict still open.
    Open,
    /// The channel died before the confirm came.
    Lost,
}

struct Slot {
    /// Done unless the state says otherwise. All are of one size, so that the next one takes the memory of the last.
    confirming: ReusableBoxFuture<'static, Confirmed>,
    waker: Waker,
    state: State,
    /// Order of handing over.
    serial: u64,
    since: Instant,
    id: TaskId,
    bytes: usize,
    /// `None` once nobody waits for it any more.
    job: Option<Box<Job>>,
}

#[derive(Default)]
pub(super) struct Window {
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
pub(super) type Decided = (Box<Job>, Verdict);

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
    pub(super) fn insert(
        &mut self,
        job: Box<Job>,
        confirming: impl Future<Output = Confirmed> + Send + 'static,
        wakes: &Wakes,
    ) {
        let (id, bytes, serial) = (job.id.clone(), job.bytes(), self.handed_over);
        self.handed_over += 1;
        let key = self.free.pop().unwrap_or(self.slots.len());
        let place = Place { key, serial };
        self.by_id.insert(id.clone(), key);
        self.outstanding += 1;
        self.bytes += bytes;
        let (waker, since) = (job.waker_at(place), job.handed_over);
        match self.slots.get_mut(key) {
            Some(slot) => {
                slot.confirming.set(confirming);
                (slot.waker, slot.state, slot.serial, slot.since) = (waker, State::Confirming, serial, since);
                (slot.id, slot.bytes, slot.job) = (id, bytes, Some(job));
            }
            None => {
                let (confirming, state, job) = (ReusableBoxFuture::new(confirming), State::Confirming, Some(job));
                self.slots.push(Slot { confirming, waker, state, serial, since, id, bytes, job });
            }
        }
        // The first poll takes the message's number and queues its frames: it must happen in the order of the calls.
        self.advance(place, wakes);
    }

    /// Looks at what the server has said. What follows is in [`Window::next_decided`].
    pub(super) fn take_in(&mut self, wakes: &Wakes) {
        while let Some(look) = wakes.pop() {
            match look {
                Look::Woken(place) => self.advance(place, wakes),
                Look::Settle(place) => self.settle(place),
            }
        }
        if self.outstanding == 0 && self.verdicts.open() > 0 {
            self.verdicts.finish(&mut self.decided);
        }
        // They are taken from the end.
        self.decided.reverse();
    }

    /// One of the messages that have been decided since.
    pub(super) fn next_decided(&mut self) -> Option<Decided> {
        while let Some((key, verdict)) = self.decided.pop() {
            let slot = &mut self.slots[key];
            slot.state = State::Free;
            self.by_id.remove(&slot.id);
            self.bytes -= slot.bytes;
            self.free.push(key);
            if let Some(job) = slot.job.take() {
                return Some((job, verdict));
            }
        }
        None
    }

    /// What the channel died of. What is left then is in [`Window::drain`].
    pub(super) fn broken(&self) -> Option<&lapin::Error> {
        self.broken.as_ref()
    }

    /// Whether messages wait for what is said about others.
    pub(super) fn has_open_verdicts(&self) -> bool {
        self.verdicts.open() > 0
    }

    fn advance(&mut self, place: Place, wakes: &Wakes) {
        let Some(slot) = self.slots.get_mut(place.key).filter(|slot| slot.serial == place.serial) else { return };
        if !matches!(slot.state, State::Confirming) {
            return;
        }
        match slot.confirming.poll(&mut Context::from_waker(&slot.waker)) {
            Poll::Pending => {}
            Poll::Ready(Ok(confirmation)) => {
                slot.state = State::Seen(see(&mut self.verdicts, &self.by_id, confirmation));
                wakes.push(Look::Settle(place));
            }
            Poll::Ready(Err(error)) => {
                slot.state = State::Lost;
                self.broken.get_or_insert(error);
            }
        }
    }

    fn settle(&mut self, place: Place) {
        let Some(slot) = self.slots.get_mut(place.key).filter(|slot| slot.serial == place.serial) else { return };
        if let State::Seen(seen) = slot.state {
            slot.state = State::Open;
            self.outstanding -= 1;
            self.verdicts.settle(place.key, seen, &mut self.decided);
        }
    }

    /// Jobs whose time is over; their messages stay in the window until the server says something.
    pub(super) fn expired(&mut self, mut is_over: impl FnMut(&Job) -> bool) -> Vec<Box<Job>> {
        self.slots.iter_mut().filter_map(|slot| slot.job.take_if(|job| is_over(job))).collect()
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.slots.iter().filter_map(|slot| slot.job.as_deref())
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
    pub(super) fn drain(&mut self) -> Vec<Box<Job>> {
        let mut left: Vec<(u64, Box<Job>)> =
            self.slots.iter_mut().filter_map(|slot| Some((slot.serial, slot.job.take()?))).collect();
        left.sort_unstable_by_key(|(serial, _)| *serial);
        *self = Window { handed_over: self.handed_over, ..Window::default() };
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
