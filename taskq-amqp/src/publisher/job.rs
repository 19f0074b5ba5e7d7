//! One message on its way: what is published, until when, and who waits.

use super::{
    lane::Lane,
    reply::{Answer, Caller, Waiting},
    room::Room,
    wakes::Place,
};
use crate::delay::Ticks;
use bytes::Bytes;
use std::{
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};
use taskq_core::{BrokerError, Content, Epitaph, Origin, Publish, TaskId};

/// No clock reaches further.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The envelope beside the body, roughly.
const ENVELOPE: usize = 512;

pub(super) type Outcome = Result<(), BrokerError>;

pub(super) struct Job {
    /// What its return, if there is one, is known by.
    pub(super) id: TaskId,
    pub(super) queue: Arc<str>,
    pub(super) content: Content,
    pub(super) epitaph: Option<Box<Epitaph>>,
    pub(super) origin: Origin,
    pub(super) deadline: Instant,
    /// Not to be delivered before.
    pub(super) due: Option<Instant>,
    /// When it was last handed to a channel.
    pub(super) handed_over: Instant,
    /// It was handed to a channel that died: the server may have it.
    pub(super) is_maybe_taken: bool,
    /// It went by way of the delay levels.
    pub(super) by_level: bool,
    /// How often the server had no room.
    pub(super) nacks: u32,
    /// How often it was in a channel that the server closed.
    pub(super) suspicions: u32,
    pub(super) room: Option<Room>,
    /// What came of it, once that is known.
    pub(super) outcome: Outcome,
    /// Another one whose outcome is known, and whose caller is to be told too.
    pub(super) next: Option<Box<Job>>,
    answer: Answer,
}

impl Job {
    /// A message that goes by `lane`, and what its `caller` waits for.
    pub(super) fn new<'a>(publish: Publish, lane: &'a Lane, caller: &Caller) -> (Box<Job>, Waiting<'a>) {
        let (answer, waiting) = Answer::new(lane, caller);
        let now = Instant::now();
        // It is handed on again and again, and not small.
        let job = Box::new(Job {
            // Without an id of its own a message would be returned to nobody.
            id: publish.content.id().cloned().unwrap_or_default(),
            queue: publish.queue,
            content: publish.content,
            epitaph: publish.epitaph,
            origin: publish.origin,
            deadline: now + publish.within.min(FAR),
            due: publish.delay.map(|delay| now + delay.min(10 * FAR)),
            handed_over: now,
            is_maybe_taken: false,
            by_level: false,
            nacks: 0,
            suspicions: 0,
            room: None,
            outcome: Err(BrokerError::Closed),
            next: None,
            answer,
        });
        (job, waiting)
    }

    pub(super) fn body(&self) -> &Bytes {
        self.content.body()
    }

    pub(super) fn bytes(&self) -> usize {
        self.body().len() + ENVELOPE
    }

    /// What is left of its delay.
    pub(super) fn ticks(&self) -> Option<Ticks> {
        let left = self.due?.saturating_duration_since(Instant::now());
        Ticks::of(left, self.origin)
    }

    /// It was handed to a channel that died: there may be two of it from now on, and who runs one must ask for the other.
    pub(super) fn maybe_taken(&mut self) {
        self.is_maybe_taken = true;
        if let Content::Task(message) = &mut self.content {
            Arc::make_mut(message).republished = true;
        }
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_forgotten(&self) -> bool {
        !self.answer.is_awaited()
    }

    /// What to wake about this message, which is there now.
    pub(super) fn waker_at(&self, place: Place) -> Waker {
        self.answer.waker_at(place)
    }

    /// Tells its caller what came of it.
    pub(super) fn tell(self) {
        self.answer.tell(self.outcome);
    }
}
