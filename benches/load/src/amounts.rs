//! How much of everything there is.

use std::time::Duration;

/// How long a result is kept. Results are deleted after each run; this is for a program that is killed.
pub(crate) const RESULT_TTL: Duration = Duration::from_secs(15 * 60);

/// Tasks that run at once; twice as many deliveries are held. The default of taskq's worker.
pub(crate) const CONCURRENCY: usize = 100;

/// What falls due in the first part of an open loop is not looked at: a worker declares what it works on before it consumes.
pub(crate) const WARM_UP: Duration = Duration::from_millis(250);

/// Callers at once, wherever there are many.
pub(crate) const CALLERS: usize = 100;

/// Tasks of each kind of work.
#[derive(Debug, Clone)]
pub(crate) struct Amounts {
    /// Published by a caller that waits for each.
    pub(crate) one_by_one: u64,
    pub(crate) published: u64,
    /// In one `kiq_many`.
    pub(crate) at_once: u64,
    pub(crate) backlog: u64,
    pub(crate) round_trips: u64,
    pub(crate) handles: u64,
    pub(crate) steady: Duration,
    pub(crate) delayed: u64,
    /// Of delayed tasks and of retries: longer than all rounds take, so that nothing is due while something is measured.
    /// A power of two of 100 ms, which one level holds.
    pub(crate) delay_millis: u64,
    pub(crate) retries: u64,
    pub(crate) idle: Duration,
    /// What servers and processes get to come to rest before they are measured.
    pub(crate) settle: Duration,
    pub(crate) sleepers: Vec<u64>,
    pub(crate) in_memory: u64,
    pub(crate) growth: Growth,
}

/// Points of the curves.
#[derive(Debug, Clone)]
pub(crate) struct Growth {
    pub(crate) backlogs: Vec<u64>,
    pub(crate) bodies: Vec<usize>,
    pub(crate) concurrencies: Vec<usize>,
    pub(crate) queues: Vec<usize>,
    /// Tasks per point and run, at most.
    pub(crate) tasks: u64,
    /// Bytes of text per point and run, at most.
    pub(crate) bytes: usize,
}

impl Amounts {
    /// What figures are published from.
    pub(crate) fn full() -> Self {
        Amounts {
            one_by_one: 1_500,
            published: 20_000,
            at_once: 10_000,
            backlog: 20_000,
            round_trips: 1_000,
            handles: 1_000,
            steady: Duration::from_secs(8),
            delayed: 5_000,
            delay_millis: 51_200,
            retries: 3_000,
            idle: Duration::from_secs(20),
            settle: Duration::from_millis(300),
            sleepers: vec![10_000, 50_000],
            in_memory: 100_000,
            growth: Growth {
                backlogs: vec![10_000, 100_000, 1_000_000],
                bodies: vec![100, 1_000, 10_000, 100_000, 1_000_000],
                concurrencies: vec![1, 10, 100, 1_000, 10_000],
                queues: vec![1, 10, 100],
                tasks: 20_000,
                bytes: 100_000_000,
            },
        }
    }

    /// Enough to see that everything works, and for nothing else.
    pub(crate) fn quick() -> Self {
        Amounts {
            one_by_one: 100,
            published: 500,
            at_once: 500,
            backlog: 500,
            round_trips: 50,
            handles: 100,
            steady: Duration::from_millis(500),
            delayed: 100,
            delay_millis: 1_600,
            retries: 50,
            idle: Duration::from_millis(500),
            settle: Duration::from_millis(20),
            sleepers: vec![200],
            in_memory: 2_000,
            growth: Growth {
                backlogs: vec![500, 1_000],
                bodies: vec![100, 100_000],
                concurrencies: vec![1, 1_000],
                queues: vec![1, 3],
                tasks: 300,
                bytes: 2_000_000,
            },
        }
    }

    /// The same with so many tasks wherever a rate is measured.
    pub(crate) fn with_tasks(self, tasks: u64) -> Self {
        Amounts { published: tasks, at_once: tasks, backlog: tasks, in_memory: tasks, ..self }
    }
}
