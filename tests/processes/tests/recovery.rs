//! How soon work goes on after a fault: the times that are promised, measured from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::{
    future::IntoFuture,
    time::{Duration, Instant},
};
use support::{Servers, gate::Gate, ledger::Ledger, signal, unique};
use taskq::prelude::*;
use taskq_faults::{
    proxy::{Line, Proxy, Way, Who},
    rabbit::Settings,
    wait::{PATIENCE, ended, eventually, found},
};
use taskq_process_tests::{doubtful::gated, nap};
use tokio::net::TcpStream;

/// For a machine that has more to do than this test: what is promised is that less the slack.
const SLACK: Duration = Duration::from_secs(2);
const AFTER_A_KILL: Duration = Duration::from_secs(2);
const AFTER_A_RESTART: Duration = Duration::from_secs(3);
const AFTER_SILENCE: Duration = Duration::from_secs(25);

/// Pauses between attempts are as long as they get after a tenth of this.
const DOWN_FOR_LONG: Duration = Duration::from_secs(40);

fn is_within(promised: Duration, took: Duration, what: &str) {
    println!("{what}: {took:?}, {promised:?} are promised");
    assert!(took < promised + SLACK, "{what} took {took:?} where {promised:?} are promised");
}

/// Young runs nobody has heard of; older ones are known to be running, until it is known that they are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_ran_begins_elsewhere_in_time() {
    const TASKS: usize = 20;
    let (queue, servers, ledger) = (unique("bound-killed"), Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let survivor = servers.worker(&queue, &ledger, &["--concurrency", "50"]);
    let there = survivor.id().unwrap();
    for age in [Duration::ZERO, Duration::from_secs(5)] {
        let gate = Gate::closed();
        let mut doomed = servers.worker(&queue, &ledger, &["--concurrency", "50"]);
        eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;
        let handles = app.kiq_many((0..TASKS).map(|_| gated(gate.path()))).await.unwrap();
        let doomed_id = doomed.id().unwrap();
        let here = || ledger.running_in(doomed_id).len();
        let before = found("all run", async || {
            let there = ledger.running_in(there).len();
            (here() + there == TASKS && here() > 0).then_some(there)
        })
        .await;
        tokio::time::sleep(age).await;
        doomed.kill().await.unwrap();
        let killed = Instant::now();
        eventually("the first begins elsewhere", async || ledger.running_in(there).len() > before).await;
        is_within(AFTER_A_KILL, killed.elapsed(), &format!("after a kill, the first of runs that were {age:?} old"));
        gate.open();
        for handle in &handles {
            assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
        }
    }
    servers.delete(&queue).await;
}

/// The port is open before anybody is let in, so this counts more than it must.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_back_is_worked_with_in_time_also_when_it_was_down_for_long() {
    let mut node = Settings::new().dead_letter_timeout(Duration::from_secs(5)).start().await.unwrap();
    let servers = Servers::shared().with_amqp(node.url());
    let (app, ledger) = (servers.app("work"), Ledger::new());
    app.startup().await.unwrap();
    let mut worker = servers.worker("work", &ledger, &[]);
    for down in [Duration::ZERO, DOWN_FOR_LONG] {
        assert!(nap.kiq(0).on(&app).await.unwrap().wait_result().timeout(PATIENCE).await.unwrap().is_ok());
        node.kill();
        tokio::time::sleep(down).await;
        node.launch().unwrap();
        let address = node.address();
        eventually("the port is open", async || TcpStream::connect(&address).await.is_ok()).await;
        let opened = Instant::now();
        let handle = ended(nap.kiq(0).within("60s").on(&app).into_future()).await.expect("a publish");
        let published = opened.elapsed();
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
        is_within(
            AFTER_A_RESTART,
            opened.elapsed(),
            &format!("after {down:?} down (published in {published:?}) a task"),
        );
        node.ready().await.unwrap();
    }
    assert!(worker.try_wait().unwrap().is_none(), "the worker ended");
}

/// Neither side is told of anything. The worker finds out, and works again as soon as a new line carries.
async fn half_open(label: &str, ways: &[Way]) {
    let (queue, servers, ledger) = (unique(label), Servers::shared(), Ledger::new());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let worker = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &[]);
    assert!(nap.kiq(0).on(&app).await.unwrap().wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    let accepted = line.counters().accepted;
    ways.iter().for_each(|way| line.line(Who::Consumers, *way, Line::Stall));
    let parted = Instant::now();
    let handle = nap.kiq(0).on(&app).await.unwrap();
    // From here on it is as if new lines carried all along.
    eventually("another line is tried", async || line.counters().accepted > accepted).await;
    line.reset(Who::Consumers);
    line.heal();
    assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    is_within(AFTER_SILENCE, parted.elapsed(), &format!("a task after the line went silent ({label})"));
    drop(worker);
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_line_goes_silent_works_again_in_time_whichever_way_is_lost() {
    tokio::join!(
        half_open("silent-both", &[Way::ToServer, Way::ToClient]),
        half_open("silent-to-server", &[Way::ToServer]),
        half_open("silent-to-client", &[Way::ToClient]),
    );
}

/// With the heartbeats that everybody has who asks for none. Another worker takes over long before it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tasks_of_a_worker_that_stands_still_for_forty_seconds_run_elsewhere_in_time_and_end_once() {
    const STILL: Duration = Duration::from_secs(40);
    let (queue, servers, ledger) = (unique("still"), Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut still = servers.worker(&queue, &ledger, &["--concurrency", "5"]);
    let here = still.id().unwrap();
    // Five run, and five wait in the same process.
    let handles = app.kiq_many((0..10).map(|_| nap(4_000))).await.unwrap();
    eventually("five run", async || ledger.running_in(here).len() == 5).await;
    signal(&still, "STOP").await;
    let stopped = Instant::now();
    let other = servers.worker(&queue, &ledger, &["--concurrency", "10"]);
    let there = other.id().unwrap();
    eventually("the first begins elsewhere", async || ledger.history().within(there).count("start") >= 1).await;
    is_within(AFTER_SILENCE, stopped.elapsed(), "the first task of a worker that stands still");
    for handle in &handles {
        let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
        assert_eq!((result.attempts(), result.into_value().unwrap()), (1, there), "the one that moves has run it");
    }
    tokio::time::sleep(STILL.saturating_sub(stopped.elapsed())).await;
    signal(&still, "CONT").await;
    eventually("it consumes again", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;
    signal(&still, "TERM").await;
    assert_eq!(ended(still.wait()).await.unwrap().code(), Some(0));
    assert_eq!(app.broker().inspect(&queue).await.unwrap().ready, 0, "something was left");
    let history = ledger.history();
    for handle in &handles {
        let of_task = history.of(handle.id());
        assert_eq!(of_task.within(there).count("start"), 1, "{of_task}");
        let at_most = usize::from(of_task.within(here).count("start") > 0);
        assert_eq!(of_task.count("start"), 1 + at_most, "it began again for no reason\n{of_task}");
    }
    assert_eq!(history.within(here).count("start"), 5, "it ran what another had run\n{history}");
    drop(other);
    servers.delete(&queue).await;
}
