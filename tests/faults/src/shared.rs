//! The servers that all tests share: `cargo xtask test` says where they are, and starts them where there are none.

use std::env;

/// Where RabbitMQ is: `TASKQ_TEST_AMQP_URL`, else on this machine.
pub fn amqp_url() -> String {
    env::var("TASKQ_TEST_AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".into())
}

/// Where Redis is: `TASKQ_TEST_REDIS_URL`, else on this machine.
pub fn redis_url() -> String {
    env::var("TASKQ_TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".into())
}
