//! Messages that are to be handed over: in order, or once their queue may have room again.

use super::{job::Job, window::Window};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const FIRST_PARK: Duration = Duration::from_millis(50);
const LONGEST_PARK: Duration = Duration::from_secs(1);

/// A message that goes again so shortly before its time is over may run out of it before the server has said anything, and
/// then nobody knows whether it was taken.
const LAST_TRY: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Backlog {
    /// In order.
    waiting: VecDeque<Box<Job>>,
    /// For later: the queue had no room.
    parked: Vec<(Instant, Box<Job>)>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.parked.is_empty()
    }

    /// Whether messages wait to be handed over now.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, job: Box<Job>) {
        self.waiting.push_back(job);
    }

    /// Before all others, and in this order.
    pub(super) fn put_first(&mut self, jobs: Vec<Box<Job>>) {
        jobs.into_iter().rev().for_each(|job| self.waiting.push_front(job));
    }

    /// The next one, if the window has room for it. A message whose id is still on its way waits for that, and lets the
    /// others pass.
    pub(super) fn next(&mut self, window: &Window) -> Option<Box<Job>> {
        loop {
            let at = self.waiting.iter().position(|job| job.is_forgotten() || !window.holds(&job.id))?;
            let job = &self.waiting[at];
            if !(job.is_forgotten() || window.has_room_for(job)) {
                return None;
            }
            if let Some(job) = self.waiting.remove(at).filter(|job| !job.is_forgotten()) {
                return Some(job);
            }
        }
    }

    /// Keeps a message until its queue may have room again, or its time is over, which is when this says.
    pub(super) fn park(&mut self, mut job: Box<Job>) -> Instant {
        let pause =
            FIRST_PARK.saturating_mul(1 << job.nacks.min(10)).min(LONGEST_PARK).mul_f64(0.5 + 0.5 * fastrand::f64());
        let again = Instant::now() + pause;
        let until = if again + LAST_TRY < job.deadline { again } else { job.deadline };
        job.nacks += 1;
        self.parked.push((until, job));
        until
    }

    /// Takes out those whose time is over, and lets parked ones go on.
    pub(super) fn tend(&mut self, now: Instant) -> VecDeque<Box<Job>> {
        let is_over = |job: &Job| job.deadline <= now;
        let (go_on, parked): (Vec<_>, Vec<_>) =
            self.parked.drain(..).partition(|(until, job)| *until <= now || is_over(job));
        self.parked = parked;
        self.waiting.extend(go_on.into_iter().map(|(_, job)| job));
        let (over, waiting) = self.waiting.drain(..).partition(|job| is_over(job));
        self.waiting = waiting;
        over
    }

    /// When something is to be done about one of them.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let parked = self.parked.iter().map(|(until, job)| job.deadline.min(*until));
        self.waiting.iter().map(|job| job.deadline).chain(parked)
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Box<Job>> {
        self.waiting.drain(..).chain(self.parked.drain(..).map(|(_, job)| job))
    }
}
