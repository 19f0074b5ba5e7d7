//! The names that travel: headers of a message, content types, the version.
//!
//! They are a contract between workers and producers of different versions: a name is never reused for another meaning.
//!
//! ```
//! use taskq::{ContentType, wire};
//! assert_eq!(ContentType::parse(wire::JSON), Some(ContentType::Json));
//! assert!(wire::HEADER_ATTEMPT.starts_with(wire::PREFIX)); // so no label is of that name
//! ```

/// The version that this release writes. Every version up to it is read.
pub const VERSION: u32 = 1;

/// What every header of ours starts with; labels may not.
pub const PREFIX: &str = "taskq-";

/// Format version of the message.
pub const HEADER_VERSION: &str = "taskq-v";
/// Number of this run, from 1.
pub const HEADER_ATTEMPT: &str = "taskq-attempt";
/// Further runs allowed after the first.
pub const HEADER_RETRY: &str = "taskq-retry";
/// Number of replays from the dead letters.
pub const HEADER_ROUND: &str = "taskq-round";
/// The caller chose the id: look it up before running.
pub const HEADER_CHECK: &str = "taskq-check";
/// A copy of the message may have been delivered before; not there if not.
pub const HEADER_REPUBLISHED: &str = "taskq-republished";
/// Not to be run before this instant (Unix milliseconds).
pub const HEADER_ETA: &str = "taskq-eta";
/// Not to be run after this instant (Unix milliseconds).
pub const HEADER_EXPIRES: &str = "taskq-expires";
/// When an earlier attempt first failed (Unix milliseconds).
pub const HEADER_FIRST_FAILED: &str = "taskq-first-failed";
/// How often the message waited because no worker knew its task.
pub const HEADER_UNKNOWN: &str = "taskq-unknown";
/// Whether tracking of this task is on.
pub const HEADER_TRACK: &str = "taskq-track";
/// W3C trace context.
pub const HEADER_TRACEPARENT: &str = "traceparent";

/// Why a dead letter was given up on: the name of a failure kind.
pub const HEADER_DEAD_KIND: &str = "taskq-dead-kind";
/// The error of the last attempt.
pub const HEADER_DEAD_ERROR: &str = "taskq-dead-error";
/// The error's sources, as a JSON list of text.
pub const HEADER_DEAD_CHAIN: &str = "taskq-dead-chain";
/// How many runs there were.
pub const HEADER_DEAD_ATTEMPTS: &str = "taskq-dead-attempts";
/// The queue that the dead letter comes from.
pub const HEADER_DEAD_QUEUE: &str = "taskq-dead-queue";
/// When the task first failed (Unix milliseconds).
pub const HEADER_DEAD_FIRST: &str = "taskq-dead-first";
/// When the task last failed (Unix milliseconds).
pub const HEADER_DEAD_LAST: &str = "taskq-dead-last";

/// Arguments as a MessagePack map by name.
pub const MESSAGE_PACK: &str = "application/msgpack";
/// Arguments as a JSON object.
pub const JSON: &str = "application/json";
