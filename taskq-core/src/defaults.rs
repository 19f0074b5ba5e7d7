//! Every default and every limit, in one place.
//!
//! | what | default |
//! |---|---|
//! | publish timeout, re-sends and reconnects included | 30 s |
//! | further runs of a task that fails (`retry`) | 0 |
//! | back-off between runs | `exp(1s, x2, max = 1h)` |
//! | time limit of one run (`timeout`) | 25 min |
//! | tasks of one queue that run at once, per worker process | 100 |
//! | plain `fn` tasks that run at once, per worker process | number of cores |
//! | deliveries held per queue | at most twice the concurrency |
//! | a delivery that has not started is given back after | 60 s |
//! | how long a result is kept | 24 h |
//! | a result that the store does not take is held for | 60 s, then kept in the task's queue |
//! | largest body, largest result | 1 MiB |
//! | labels of one task, all together | 32 KiB |
//! | messages held by the in-memory broker, per queue | 10,000 |
//! | time that running tasks get at shutdown | 25 s |
//! | queue of a task that names none | `taskq` |
//!
//! ```
//! use taskq::{BrokerExt, InMemoryBroker, TaskId, defaults::{CONCURRENCY, MAX_TASK_ID, QUEUE}};
//! let app = InMemoryBroker::new().into_app();
//! assert_eq!(app.default_queue(), QUEUE);
//! assert_eq!(app.broker().embedded_concurrency(QUEUE).map(usize::from), Some(CONCURRENCY));
//! assert!(TaskId::from("x".repeat(MAX_TASK_ID + 1)).check().is_err());
//! ```

use std::time::Duration;

/// How long `kiq` may take in all.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit of one run; under RabbitMQ's consumer timeout of 30 minutes.
pub const TASK_TIMEOUT: Duration = Duration::from_secs(25 * 60);
/// Further time that middleware gets around the handler's own limit.
pub const MIDDLEWARE_GRACE: Duration = Duration::from_secs(5);
/// Tasks of one queue that run at once in one worker process.
pub const CONCURRENCY: usize = 100;
/// A delivery that has not started by then is given back to the broker.
pub const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a result is kept.
pub const RESULT_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a result that the store does not take is held; after that it is kept in the task's own queue until the store
/// takes it, so that work goes on.
pub const RESULT_PATIENCE: Duration = Duration::from_secs(60);
/// Largest encoded arguments of a task, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;
/// Largest encoded result of a task, in bytes.
pub const MAX_RESULT: usize = 1024 * 1024;
/// Largest sum of a message's label names and values, in bytes.
pub const MAX_LABELS: usize = 32 * 1024;
/// Longest label name, in bytes (an AMQP short string).
pub const MAX_LABEL_NAME: usize = 255;
/// Longest task name, in bytes (an AMQP short string).
pub const MAX_TASK_NAME: usize = 255;
/// Longest task id, in bytes.
pub const MAX_TASK_ID: usize = 128;
/// Longest queue name, in bytes: a delayed message's routing key has 56 bytes of its own before it, of 255.
pub const MAX_QUEUE_NAME: usize = 199;
/// Longest error text that is kept with a failure, in bytes.
pub const MAX_ERROR_TEXT: usize = 4 * 1024;
/// Most entries that are kept of an error's chain of sources.
pub const MAX_ERROR_CHAIN: usize = 8;
/// Messages that one queue of the in-memory broker takes before `kiq` waits.
pub const MEMORY_CAPACITY: usize = 10_000;
/// Time that running tasks get at shutdown.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);
/// The queue of a task that names none.
pub const QUEUE: &str = "taskq";
/// Calls that `kiq_many` keeps in flight: no more than one channel of the AMQP broker takes (512), so that small ones need no
/// other thread on their way.
pub const KIQ_MANY_IN_FLIGHT: usize = 500;
/// How long a message of an unknown task waits for a newer worker.
pub const UNKNOWN_TASK_DELAY: Duration = Duration::from_secs(30);
/// How often a message of an unknown task waits before it is dead-lettered.
pub const UNKNOWN_TASK_ROUNDS: u32 = 5;
/// A claim that is not renewed for this long, and then not for as long again after another worker has asked for it, may
/// be taken over: renewing may have been impossible until that worker could ask too. A claim is on a run that may be
/// running elsewhere, or may have run before; the lease bounds how long such a run waits after its worker was killed.
pub const CLAIM_LEASE: Duration = Duration::from_secs(3);
/// How long a first delivery is trusted to be the only one of its run, from when the broker may have sent it: one that
/// starts later looks whether anybody has its run, and one that runs for longer has marked it by then, so that a copy finds it.
pub const TRUST: Duration = Duration::from_secs(3);
/// How long a message that its publisher sent again after a lost confirm is put off: until its first copy, if there is
/// one, has ended or has marked its run.
pub const COPY_WAIT: Duration = Duration::from_secs(6);
/// How long a claim's notes are kept: silent ends, and what was carried out.
pub const CLAIM_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Starts of one run that ended without a word, after which it is not started again.
pub const SILENT_ENDS: u32 = 3;
