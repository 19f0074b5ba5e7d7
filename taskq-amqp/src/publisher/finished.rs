//! Messages whose callers are to be told, in order.
//!
//! They are linked to each other: the server may confirm hundreds at once, and the memory of so long a list is some that malloc
//! tidies up for each time.

use super::job::{Job, Outcome};

#[derive(Default)]
pub(super) struct Finished {
    /// The latest, which leads to those before it.
    last: Option<Box<Job>>,
}

impl Finished {
    pub(super) fn push(&mut self, mut job: Box<Job>, outcome: Outcome) {
        job.outcome = outcome;
        job.before = self.last.take();
        self.last = Some(job);
    }

    /// Tells all of them, the first one first.
    pub(super) fn tell(self) {
        let (mut behind, mut rest) = (None, self.last);
        while let Some(mut job) = rest {
            rest = job.before.take();
            job.before = behind;
            behind = Some(job);
        }
        while let Some(mut job) = behind {
            behind = job.before.take();
            job.tell();
        }
    }
}
