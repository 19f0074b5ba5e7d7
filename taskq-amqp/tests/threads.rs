//! What is left in the process when brokers have gone. One test alone, since it counts what the whole process has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    time::{Duration, Instant},
};
use support::line;
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError};
use taskq_faults::{
    proxy::{Door, Who},
    shared::amqp_url,
    wait::eventually,
};

/// This process's threads of lapin.
fn io_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin-io-loop")).count()
}

#[tokio::test]
async fn no_thread_is_left_of_brokers_that_were_dropped_nor_of_servers_that_never_answered() {
    for _ in 0..5 {
        let broker = AmqpBroker::new(amqp_url());
        assert!(broker.inspect("no-such-queue").await.is_err());
    }
    let line = line();
    line.door(Door::Silent);
    let silent = AmqpBroker::new(line.url());
    let began = Instant::now();
    let unreachable = silent.inspect("anything").await.unwrap_err();
    assert!(matches!(unreachable, BrokerError::Unreachable { .. }), "{unreachable:?}");
    assert!(began.elapsed() < Duration::from_secs(15));
    drop(silent);
    line.cut(Who::All);
    eventually("the threads are gone", async || io_threads() == 0).await;
}
