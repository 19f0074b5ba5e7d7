//! A RabbitMQ of a test's own, which may be killed.
