//! What tasks there are, what each is expected to come to, and the seeded mix of them.

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use taskq::{FailureKind, QueueSpec};

/// One task as its publisher wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) queue: Queue,
    /// Whether the publisher chooses the id.
    pub(crate) own_id: bool,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Returns at once.
    Quick,
    /// Sleeps, then returns.
    Nap { millis: u64 },
    /// Is sent with a delay, then returns at once.
    Delayed { millis: u64 },
    /// Is not to be run later than so long after it was sent.
    Brief { millis: u64 },
    /// Fails so many times, then returns.
    Flaky { failures: u32 },
    /// Fails whenever it runs.
    Hopeless,
    /// Panics whenever it runs.
    Panics,
    /// Takes longer than its time limit.
    Hangs,
    /// Aborts its process when it runs for the first time.
    AbortsOnce,
    /// Aborts its process whenever it runs.
    AbortsAlways,
    /// Is sent with arguments that no worker can read.
    Malformed,
    /// Is larger than a message may be.
    Oversize,
    /// Is sent to a queue that does not exist.
    Nowhere,
}

/// Where a task waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Queue {
    Quorum,
    /// Classic, but in a cluster: there such a queue is on one node alone, and what it loses with that nobody promises.
    Classic,
    /// Worked on by one process, one task at a time, and filled by one publisher at a time.
    Serial,
    /// Worked on by the process that may be aborted.
    Aborts,
    /// Declared by nobody.
    Nowhere,
}

/// What a task that was confirmed has to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A value, after so many attempts.
    Done { attempts: u32 },
    /// A value, or nothing, because it was too late to run it.
    DoneOrExpired,
    /// A failure of this kind after so many attempts, and a dead letter.
    Failed { kind: FailureKind, attempts: u32 },
    /// It must not even be confirmed.
    Refused,
}

/// How often [`crate::tasks::flaky`] may run again.
pub(crate) const FLAKY_RETRIES: u32 = 3;
/// How often [`crate::tasks::panics`] may run again.
pub(crate) const PANIC_RETRIES: u32 = 1;

impl Plan {
    pub(crate) fn expected(&self) -> Expected {
        let failed = |kind, attempts| Expected::Failed { kind, attempts };
        match self.kind {
            Kind::Quick | Kind::Nap { .. } | Kind::Delayed { .. } | Kind::AbortsOnce => Expected::Done { attempts: 1 },
            Kind::Brief { .. } => Expected::DoneOrExpired,
            Kind::Flaky { failures } => Expected::Done { attempts: failures + 1 },
            Kind::Hopeless => failed(FailureKind::Error, FLAKY_RETRIES + 1),
            Kind::Panics => failed(FailureKind::Panic, PANIC_RETRIES + 1),
            Kind::Hangs => failed(FailureKind::Timeout, 1),
            // A start without a word costs no attempt.
            Kind::AbortsAlways => failed(FailureKind::WorkerLost, 1),
            Kind::Malformed => failed(FailureKind::Undecodable, 1),
            Kind::Oversize | Kind::Nowhere => Expected::Refused,
        }
    }

    /// How many attempts there may be.
    pub(crate) fn max_attempts(&self) -> u32 {
        match self.kind {
            Kind::Flaky { .. } | Kind::Hopeless => FLAKY_RETRIES + 1,
            Kind::Panics => PANIC_RETRIES + 1,
            Kind::Malformed | Kind::Oversize | Kind::Nowhere => 0,
            _ => 1,
        }
    }

    /// Draws one of the mix.
    pub(crate) fn draw(rng: &mut Rng) -> Plan {
        let kind = match rng.u32(0..1000) {
            0..500 => Kind::Quick,
            500..530 => Kind::Brief { millis: rng.u64(500..5_000) },
            530..680 => Kind::Nap { millis: rng.u64(50..3_000) },
            680..780 => Kind::Flaky { failures: rng.u32(1..=FLAKY_RETRIES) },
            780..820 => Kind::Hopeless,
            820..850 => Kind::Panics,
            850..880 => Kind::Hangs,
            880..960 => Kind::Delayed { millis: rng.u64(100..10_000) },
            960..980 => Kind::Malformed,
            980..990 => Kind::Oversize,
            _ => Kind::Nowhere,
        };
        let queue = match kind {
            Kind::Nowhere => Queue::Nowhere,
            _ if rng.u8(0..3) == 0 => Queue::Classic,
            _ => Queue::Quorum,
        };
        Plan { kind, queue, own_id: rng.u8(0..10) == 0 }
    }

    /// Draws one for the queue whose order is looked at.
    pub(crate) fn draw_serial(rng: &mut Rng) -> Plan {
        let kind = if rng.u8(0..4) == 0 { Kind::Nap { millis: rng.u64(1..60) } } else { Kind::Quick };
        Plan { kind, queue: Queue::Serial, own_id: false }
    }

    /// Draws one for the worker that may be aborted.
    pub(crate) fn draw_abort(rng: &mut Rng) -> Plan {
        let kind = if rng.u8(0..5) == 0 { Kind::AbortsAlways } else { Kind::AbortsOnce };
        Plan { kind, queue: Queue::Aborts, own_id: false }
    }
}

impl Queue {
    pub(crate) const DECLARED: [Queue; 4] = [Queue::Quorum, Queue::Classic, Queue::Serial, Queue::Aborts];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Queue::Quorum => "chaos-quorum",
            Queue::Classic => "chaos-classic",
            Queue::Serial => "chaos-serial",
            Queue::Aborts => "chaos-aborts",
            Queue::Nowhere => "chaos-nowhere",
        }
    }

    pub(crate) fn spec(self, is_in_cluster: bool) -> QueueSpec {
        let spec = QueueSpec::new(self.name());
        if self == Queue::Classic && !is_in_cluster { spec.classic() } else { spec }
    }
}
