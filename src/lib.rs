#![doc = include_str!("../README.md")]

pub use taskq_core::*;
pub use taskq_macros::task;

#[cfg(feature = "amqp")]
pub use taskq_amqp::AmqpBroker;
#[cfg(feature = "redis-results")]
pub use taskq_redis_results::RedisResults;

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
