//! Messages whose callers are to be told, in order.
//!
//! They are linked to each other: the server may confirm hundreds at once, and the memory of so long a list is some that malloc
//! tidies up for each time.

use super::job::{Job, Outcome};

#[derive(Default)]
pub(super) struct Finished {
    /// The latest, which leads to the one before it.
    top: Option<Box<Job>>,
}

impl Finished {
    pub(super) fn push(&mut self, mut job: Box<Job>, outcome: Outcome) {
        job.outcome = outcome;
        self.put(job);
    }

    /// Tells all of them, the first one first.
    pub(super) fn tell(mut self) {
        let mut reversed = Finished::default();
        while let Some(job) = self.pop() {
            reversed.put(job);
        }
        while let Some(job) = reversed.pop() {
            job.tell();
        }
    }

    fn put(&mut self, mut job: Box<Job>) {
        job.next = self.top.take();
        self.top = Some(job);
    }

    fn pop(&mut self) -> Option<Box<Job>> {
        let mut job = self.top.take()?;
        self.top = job.next.take();
        Some(job)
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        // Not one inside the other: there may be thousands.
        while self.pop().is_some() {}
    }
}
