//! Workers that stop and come back, tasks that hold up their threads, and claims that another takes over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::time::Duration;
use support::{Servers, gate::Gate, ledger::Ledger, signal, unique};
use taskq::{Bid, ClaimAnswer, ResultBackend, RunId, prelude::*};
use taskq_faults::{
    redis::Redis,
    wait::{PATIENCE, ended, eventually},
};
use taskq_process_tests::{
    LEDGER,
    doubtful::{block, gated, gated_and_failed, gated_and_retried},
    nap,
};
use tokio::process::Child;

/// The same, but the broker gives up on a client that is silent for two seconds.
fn with_short_heartbeats(servers: &Servers) -> Servers {
    let servers = servers.clone();
    let url = format!("{}?heartbeat=1", servers.amqp);
    servers.with_amqp(url)
}

/// A stage on which a worker is stopped in the middle of a run, and another one has taken the run over.
struct Stopped {
    servers: Servers,
    queue: String,
    ledger: Ledger,
    gate: Gate,
    app: App,
    first: Child,
    second: Child,
    handle: TaskHandle<u32>,
}

impl Stopped {
    async fn in_the_middle_of<T>(task: impl Fn(String) -> taskq::Kiq<T>, id: Option<&str>) -> Stopped
    where
        T: taskq::Task<Output = u32>,
    {
        let (queue, servers, ledger, gate) = (unique("stopped"), Servers::shared(), Ledger::new(), Gate::closed());
        let app = servers.app(&queue);
        app.startup().await.unwrap();
        let first = with_short_heartbeats(&servers).worker(&queue, &ledger, &[]);
        let kiq = task(gate.path());
        let kiq = match id {
            Some(label) => kiq.task_id(unique(label)),
            None => kiq,
        };
        let handle = kiq.on(&app).await.unwrap();
        eventually("it runs", async || ledger.history().count("start") == 1).await;
        signal(&first, "STOP").await;
        let second = servers.worker(&queue, &ledger, &[]);
        let second_id = second.id().unwrap();
        eventually("another takes over", async || ledger.history().within(second_id).count("start") == 1).await;
        Stopped { servers, queue, ledger, gate, app, first, second, handle }
    }

    /// Lets the first run go on, and waits until nothing more comes of it.
    async fn resume_and_let_the_first_end(&mut self) {
        let first = self.first.id().unwrap();
        self.gate.open_to(first);
        signal(&self.first, "CONT").await;
        let of_first = async || self.ledger.history().within(first).running();
        eventually("the first run is over", async || of_first().await == 0).await;
        signal(&self.first, "TERM").await;
        assert_eq!(ended(self.first.wait()).await.unwrap().code(), Some(0));
    }

    async fn the_second_counts(&mut self) {
        let second = self.second.id().unwrap();
        self.gate.open_to(second);
        let value = self.handle.wait_result().timeout(PATIENCE).await.unwrap().into_value().unwrap();
        assert_eq!(value, second, "the late outcome is not used: {}", self.ledger.history());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_that_goes_on_does_not_give_the_result_of_what_another_runs() {
    let mut stage = Stopped::in_the_middle_of(|gate| gated(gate).kiq(), None).await;
    late_success(&mut stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_that_goes_on_does_not_give_the_result_of_what_was_claimed_after_it() {
    let mut stage = Stopped::in_the_middle_of(|gate| gated(gate).kiq(), Some("claimed")).await;
    late_success(&mut stage).await;
}

async fn late_success(stage: &mut Stopped) {
    stage.resume_and_let_the_first_end().await;
    let early = stage.handle.wait_result().timeout("100ms").await;
    assert!(early.is_err(), "the late outcome became the result: {early:?}\n{}", stage.ledger.history());
    stage.the_second_counts().await;
    finish(stage, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_that_goes_on_does_not_retry_what_another_runs() {
    let mut stage = Stopped::in_the_middle_of(|gate| gated_and_retried(gate).kiq(), None).await;
    late_retry(&mut stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_that_goes_on_does_not_retry_what_was_claimed_after_it() {
    let mut stage = Stopped::in_the_middle_of(|gate| gated_and_retried(gate).kiq(), Some("claimed-retry")).await;
    late_retry(&mut stage).await;
}

async fn late_retry(stage: &mut Stopped) {
    stage.resume_and_let_the_first_end().await;
    let second = stage.second.id().unwrap();
    stage.gate.open_to(second);
    eventually("the second run is over", async || stage.ledger.history().within(second).running() == 0).await;
    signal(&stage.second, "TERM").await;
    assert_eq!(ended(stage.second.wait()).await.unwrap().code(), Some(0));
    // Published last and due last, so that all copies are there when it is.
    nap.kiq(0).delay("3s").on(&stage.app).await.unwrap();
    let ready = async || stage.app.broker().inspect(&stage.queue).await.unwrap().ready;
    eventually("the last one is due", async || ready().await >= 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ready().await, 2, "one copy and the last one\n{}", stage.ledger.history());

    stage.gate.open();
    stage.second = stage.servers.worker(&stage.queue, &stage.ledger, &[]);
    let result = stage.handle.wait_result().timeout(PATIENCE).await.unwrap();
    assert_eq!((result.attempts(), result.into_value().unwrap()), (2, stage.second.id().unwrap()));
    finish(stage, 2).await;
    assert_eq!(stage.ledger.history().of(stage.handle.id()).attempt(2).count("start"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_that_goes_on_after_all_is_over_changes_nothing() {
    let mut stage = Stopped::in_the_middle_of(|gate| gated_and_failed(gate).kiq(), None).await;
    let second = stage.second.id().unwrap();
    stage.gate.open_to(second);
    let letters = stage.app.dead_letters(&stage.queue);
    assert!(stage.handle.wait_result().timeout(PATIENCE).await.unwrap().is_err());
    eventually("it is dead-lettered", async || letters.count().await.unwrap() == 1).await;
    // The letter is confirmed before what follows it is noted.
    signal(&stage.second, "TERM").await;
    assert_eq!(ended(stage.second.wait()).await.unwrap().code(), Some(0));
    stage.resume_and_let_the_first_end().await;
    assert_eq!(letters.count().await.unwrap(), 1, "no second letter\n{}", stage.ledger.history());
    finish(&stage, 2).await;
}

async fn finish(stage: &Stopped, starts: usize) {
    let (app, queue) = (&stage.app, &stage.queue);
    eventually("all is acknowledged", async || app.broker().inspect(queue).await.unwrap().ready == 0).await;
    let first_attempt = stage.ledger.history().of(stage.handle.id()).attempt(1);
    assert_eq!(first_attempt.count("start"), starts, "{first_attempt}");
    stage.servers.delete(queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_hold_up_every_thread_lose_neither_connection_nor_claim() {
    let (queue, servers, ledger) = (unique("blocked"), Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut command = with_short_heartbeats(&servers).command(env!("CARGO_BIN_EXE_process-test-worker"), &queue);
    command.env(LEDGER, ledger.path()).env("TOKIO_WORKER_THREADS", "2");
    let first = command.spawn().unwrap();
    let first_id = first.id().unwrap();
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    let ids = [unique("block"), unique("block")];
    let submit = async |id: &str| block.kiq(8_000).task_id(id).on(&app).await.unwrap();
    let handles = [submit(&ids[0]).await, submit(&ids[1]).await];
    eventually("both threads are held up", async || ledger.history().within(first_id).running() == 2).await;

    // The other one would take over whatever is lost, and is asked to run the same all the while.
    let _second = servers.worker(&queue, &ledger, &[]);
    eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;
    for id in &ids {
        submit(id).await;
    }
    for handle in &handles {
        assert_eq!(handle.wait_result().timeout(PATIENCE).await.unwrap().into_value().unwrap(), first_id);
    }
    eventually("all is acknowledged", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    let history = ledger.history();
    assert_eq!((history.count("start"), history.count("end")), (2, 2), "{history}");
    drop(first);
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_claim_another_has_taken_is_broken_off_and_its_outcome_is_not_used() {
    let (queue, redis, ledger, gate) = (unique("taken"), Redis::start().await.unwrap(), Ledger::new(), Gate::closed());
    let servers = Servers::shared().with_redis(redis.url());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let _worker = servers.worker(&queue, &ledger, &[]);
    let handle = gated.kiq(gate.path()).task_id(unique("taken")).on(&app).await.unwrap();
    eventually("it runs", async || ledger.history().count("start") == 1).await;

    let rivals = RedisResults::new(redis.url());
    let mut bid = Bid::new(RunId { task: handle.id().clone(), round: 0, attempt: 1 }, "rival");
    bid.alone = true;
    let key = format!("taskq:{{{}}}:c", handle.id());
    // Until no renewal comes between.
    let claim = loop {
        redis.command(&["HSET", &key, "until", "0"]).await.unwrap();
        match rivals.claim(&bid).await.unwrap() {
            Some(ClaimAnswer::Run(claim)) => break claim,
            Some(ClaimAnswer::Elsewhere { .. }) => {}
            answer => panic!("{answer:?}"),
        }
    };
    eventually("the run is broken off", async || ledger.history().count("broken") == 1).await;
    gate.open();
    assert!(handle.wait_result().timeout("2s").await.is_err(), "while another has it, nothing is run or stored");
    assert_eq!(ledger.history().count("start"), 1);
    assert!(!claim.is_lost());
    claim.give_back().await.unwrap();
    let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
    assert_eq!((result.attempts(), result.is_ok()), (1, true));
    let history = ledger.history();
    assert_eq!((history.count("start"), history.count("broken"), history.count("end")), (2, 1, 1), "{history}");
    servers.delete(&queue).await;
}

/// What the server sent while the worker was stopped waits in its socket, and the server has given it to another since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_before_its_deliveries_reach_it_runs_none_that_another_has_run() {
    const TASKS: usize = 20;
    let (queue, servers, ledger) = (unique("unread"), Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut first = with_short_heartbeats(&servers).worker(&queue, &ledger, &[]);
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    signal(&first, "STOP").await;
    let handles = app.kiq_many((0..TASKS).map(|_| nap(0))).await.unwrap();
    eventually("they are in its socket", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    let second = servers.worker(&queue, &ledger, &[]);
    for handle in &handles {
        let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
        assert_eq!(result.into_value().unwrap(), second.id().unwrap());
    }
    signal(&first, "CONT").await;
    // It has read them when it has noticed that it has another connection to make.
    eventually("it consumes again", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;
    signal(&first, "TERM").await;
    assert_eq!(ended(first.wait()).await.unwrap().code(), Some(0));
    assert_eq!(ledger.history().count("start"), TASKS, "{}", ledger.history());
    drop(second);
    servers.delete(&queue).await;
}
