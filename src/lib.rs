#![doc = include_str!("../README.md")]

pub use taskq_core::*;
pub use taskq_macros::task;

#[cfg(feature = "amqp")]
pub use taskq_amqp::AmqpBroker;
#[cfg(feature = "redis-results")]
pub use taskq_redis_results::RedisResults;

/// Running tasks: a worker as a part of a program, and `main!`, which is a whole one.
pub mod worker {
    #[cfg(feature = "worker-main")]
    #[doc(inline)]
    pub use taskq_core::__worker_main as main;
    pub use taskq_core::worker::*;
}

/// What most files of an application need: `use taskq::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "amqp")]
    pub use crate::AmqpBroker;
    #[cfg(feature = "redis-results")]
    pub use crate::RedisResults;
    pub use taskq_core::prelude::*;
    pub use taskq_macros::task;
}

#[doc(hidden)]
pub use taskq_core::__private;
