//! Results of taskq's tasks in Redis (6 or later) or Valkey: pushed to those who wait for them, gone after their time to live.
//!
//! [`RedisResults`] is the result backend. What is kept under which key, and how a wait is woken:
//!
//! | key | what | lives |
//! |---|---|---|
//! | `taskq:{<id>}:r` | string: how the task ended | as long as its result is to be kept |
//! | `taskq:{<id>}:w` | set: the processes that wait for it | a minute after the last of them looked |
//! | `taskq:{<id>}:s` | string: the last step of a tracked task | as long as its result is to be kept |
//!
//! A process listens on the channel `taskq:wake:<process>`. Whoever stores a result reads the set of those who wait and
//! tells each of them the id. A waiter enters itself first and looks for the result then, so that one of both sees the
//! other; a look after 1, 2, 4, 8 and then every 15 seconds is the net under a message that was lost. The braces keep all
//! keys of a task in one slot of a cluster.
//!
//! Results are as durable as the Redis that keeps them: without `appendonly yes` a crash of Redis loses some, and with a
//! `maxmemory-policy` other than `noeviction` Redis drops them when its memory is full.
//!
//! Features: `tls` for `rediss://` addresses, `cluster` for `RedisResults::cluster`. None is on by default.

mod address;
mod claims;
#[cfg(feature = "cluster")]
mod cluster;
mod connection;
mod follow;
mod group;
mod keys;
mod link;
mod live;
mod marks;
mod operations;
mod results;
mod subscription;
mod trouble;
mod waiters;

pub use results::RedisResults;
