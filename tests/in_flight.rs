//! Ten thousand callers that wait for RabbitMQ at once. One test alone, since it weighs the whole process.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use futures_util::future::join_all;
use std::{fs, future::IntoFuture};
use support::{Stage, operator};
use taskq::prelude::*;
use taskq_faults::{
    proxy::{Line, Proxy, Way, Who},
    shared::{amqp_url, redis_url},
    wait::{PATIENCE, eventually},
};

const CALLERS: u32 = 10_000;
const BODY: usize = 500;
const ROUNDS: u32 = 6;

#[task]
async fn measure(bytes: Vec<u8>) -> usize {
    bytes.len()
}

/// What the process holds in memory, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_kiq_that_wait_for_their_confirms_are_all_confirmed_and_leave_no_memory_behind() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let line = Proxy::amqp(&amqp_url()).unwrap();
        let app = AmqpBroker::new(line.url())
            .with_result_backend(RedisResults::new(redis_url()))
            .with_default_queue(&stage.queue);
        app.startup().await.unwrap();
        measure.kiq(Vec::new()).on(&app).await.unwrap();
        let operator = operator().await;
        let mut held = Vec::new();
        for round in 1..=ROUNDS {
            let before = operator.ready(&stage.queue).await;
            line.line(Who::All, Way::ToClient, Line::Stall);
            let sending: Vec<_> = (0..CALLERS)
                .map(|_| tokio::spawn(measure.kiq(vec![0; BODY]).within(PATIENCE).on(&app).into_future()))
                .collect();
            // No more than the window goes on its way; the others wait here.
            eventually("the first are there", async || operator.ready(&stage.queue).await > before + 100).await;
            assert!(!sending.iter().any(tokio::task::JoinHandle::is_finished), "one was confirmed without a confirm");
            let full = resident();
            line.heal();
            for outcome in join_all(sending).await {
                outcome.unwrap().expect("each of them is confirmed");
            }
            held.push(resident());
            println!("round {round}: {full} KiB while they wait, {} KiB after", resident());
            assert_eq!(operator.ready(&stage.queue).await, before + CALLERS, "each of them once");
        }
        // What is not given back would be there again after each round, and be more than the bodies alone. What the allocator
        // keeps comes with the first two, or with one of the others.
        let mut grown: Vec<u64> = held[1..].windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        grown.sort_unstable();
        let bodies = u64::from(CALLERS) * BODY as u64 / 1024;
        assert!(grown[grown.len() / 2] < bodies, "memory grows with each round: {held:?} KiB");
        app.shutdown().await.unwrap();
    })
    .await;
}
