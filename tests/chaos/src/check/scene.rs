//! Histories made by hand.

use super::{Breach, Floors, Verdict, check};
use crate::{
    clock::Instant,
    history::History,
    ledger::{Decision, Event, How, Line, Phase},
    plan::{Kind, Plan, Queue},
    run::{
        leftovers::{Ended, Leftovers},
        servers::Depth,
    },
};

/// A story, told in milliseconds. Faults begin at 0.
pub(super) struct Scene {
    lines: Vec<Line>,
    pub(super) left: Leftovers,
}

pub(super) const QUICK: Plan = Plan { kind: Kind::Quick, queue: Queue::Quorum, own_id: false };

impl Scene {
    pub(super) fn new() -> Scene {
        let drained = Depth { queue: "chaos-quorum".into(), ready: 0, unacked: 0, leaving: 0 };
        let left = Leftovers { depths: vec![drained], ..Leftovers::default() };
        Scene { lines: Vec::new(), left }.line(0, "chaos", Event::Phase { phase: Phase::Faults })
    }

    pub(super) fn line(mut self, at: u64, process: &str, event: Event) -> Scene {
        // The story begins a minute after the machine: some lines are told of the time before.
        let at = 60_000 + at;
        self.lines.push(Line { at: Instant(at * 1_000), wall: at, process: process.into(), event });
        self
    }

    pub(super) fn submit(self, at: u64, tag: &str, plan: Plan) -> Scene {
        self.line(at, "publisher-0.1", Event::Submit { tag: tag.into(), plan })
    }

    pub(super) fn confirmed(self, at: u64, tag: &str) -> Scene {
        let (tag, id) = (tag.to_owned(), format!("id-{tag}"));
        self.line(at, "publisher-0.1", Event::Confirmed { tag, id })
    }

    /// Sent and confirmed.
    pub(super) fn sent(self, at: u64, tag: &str, plan: Plan) -> Scene {
        self.submit(at, tag, plan).confirmed(at + 1, tag)
    }

    pub(super) fn start(self, at: u64, worker: &str, tag: &str, attempt: u32) -> Scene {
        self.line(at, worker, Event::Start { tag: tag.into(), id: format!("id-{tag}"), attempt })
    }

    pub(super) fn end(self, at: u64, worker: &str, tag: &str, attempt: u32, how: How) -> Scene {
        self.line(at, worker, Event::End { tag: tag.into(), attempt, how })
    }

    /// Decided and acknowledged.
    pub(super) fn settled(self, at: u64, worker: &str, tag: &str, attempt: u32, verdict: Decision) -> Scene {
        let id = format!("id-{tag}");
        self.line(at, worker, Event::Decided { id: id.clone(), attempt, verdict }).line(
            at + 1,
            worker,
            Event::Settled { id, attempt, acked: true },
        )
    }

    /// A run of 10 ms that is done and recorded.
    pub(super) fn ran(self, at: u64, worker: &str, tag: &str) -> Scene {
        self.start(at, worker, tag, 1)
            .end(at + 10, worker, tag, 1, How::Done)
            .settled(at + 11, worker, tag, 1, Decision::Finished)
            .recorded(tag, Ended::Done { attempts: 1, value: tag.into() })
    }

    pub(super) fn recorded(mut self, tag: &str, ended: Ended) -> Scene {
        self.left.results.insert(format!("id-{tag}"), ended);
        self
    }

    pub(super) fn letter(mut self, tag: &str) -> Scene {
        *self.left.letters.entry(format!("id-{tag}")).or_default() += 1;
        self
    }

    pub(super) fn verdict(self, floors: &Floors) -> Verdict {
        check(&History::new(self.lines), &self.left, floors)
    }

    /// What the checker finds, of each kind once.
    pub(super) fn breaches(self) -> Vec<Breach> {
        let verdict = self.verdict(&Floors { confirmed: 0, faults: 0, kinds: 0 });
        verdict.breaches.into_keys().collect()
    }
}
