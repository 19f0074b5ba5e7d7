//! A Redis that is away for long, is restarted, or stands still, while tasks run and claims are held.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::time::Duration;
use support::{Servers, gate::Gate, ledger::Ledger, unique};
use taskq::prelude::*;
use taskq_faults::{
    redis::Redis,
    wait::{PATIENCE, eventually},
};
use taskq_process_tests::{doubtful::gated, nap};

const AWAY: Duration = Duration::from_secs(20);
const PREFETCH: usize = 20;

#[derive(Clone, Copy)]
enum Absence {
    Killed,
    Frozen,
}

impl Absence {
    fn begin(self, redis: &mut Redis) {
        match self {
            Absence::Killed => redis.kill(),
            Absence::Frozen => redis.freeze().unwrap(),
        }
    }

    async fn end(self, redis: &mut Redis) {
        match self {
            Absence::Killed => redis.run().await.unwrap(),
            Absence::Frozen => redis.thaw().unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_tasks_ride_out_a_redis_that_is_killed_and_restarted_after_twenty_seconds() {
    two_hundred_tasks(Absence::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_tasks_ride_out_a_redis_that_stands_still_for_twenty_seconds() {
    two_hundred_tasks(Absence::Frozen).await;
}

async fn two_hundred_tasks(absence: Absence) {
    let (queue, mut redis, ledger) = (unique("away"), Redis::start().await.unwrap(), Ledger::new());
    let servers = Servers::shared().with_redis(redis.url());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let _worker = servers.worker(&queue, &ledger, &["--concurrency", "10"]);
    let handles = app.kiq_many((0..200).map(|_| nap(50))).await.unwrap();
    eventually("some are done", async || ledger.count("end") >= 30).await;
    absence.begin(&mut redis);
    // Whatever is acknowledged was started before this.
    let before = ledger.count("start");
    assert!(before < 150, "too late: {before} have run");
    tokio::time::sleep(AWAY).await;
    let during = ledger.count("start") - before;
    assert!(during <= PREFETCH, "{during} were started while no result could be kept");
    absence.end(&mut redis).await;

    for handle in &handles {
        let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
        assert_eq!((result.attempts(), result.is_ok()), (1, true));
    }
    eventually("all is acknowledged", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    let starts = ledger.starts();
    assert_eq!(starts.len(), 200);
    assert!(starts.values().all(|starts| *starts == 1), "{}", ledger.history());
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_outlasts_a_redis_that_is_restarted_while_a_rival_asks_for_it() {
    a_claim_outlasts(Absence::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_outlasts_a_redis_that_stands_still_while_a_rival_asks_for_it() {
    a_claim_outlasts(Absence::Frozen).await;
}

/// The leases end while nobody can renew them.
async fn a_claim_outlasts(absence: Absence) {
    let (queue, mut redis, ledger, gate) =
        (unique("leases"), Redis::start().await.unwrap(), Ledger::new(), Gate::closed());
    let servers = Servers::shared().with_redis(redis.url());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let holder = servers.worker(&queue, &ledger, &["--concurrency", "10"]);
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    let ids: Vec<String> = (0..10).map(|_| unique("held")).collect();
    let mut handles = Vec::new();
    for id in &ids {
        handles.push(gated.kiq(gate.path()).task_id(id.as_str()).on(&app).await.unwrap());
    }
    eventually("all run", async || ledger.history().running() == 10).await;
    let _rival = servers.worker(&queue, &ledger, &["--concurrency", "20"]);
    eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;
    absence.begin(&mut redis);
    // The rival's share of these waits until Redis can be asked; the holder's joins what runs there.
    for id in &ids {
        for _ in 0..3 {
            gated.kiq(gate.path()).task_id(id.as_str()).within("5s").on(&app).await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    absence.end(&mut redis).await;
    let fresh = nap.kiq(0).on(&app).await.unwrap();
    assert!(fresh.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    // Longer than a lease, and than the longest pause of whoever waits for Redis.
    tokio::time::sleep(Duration::from_secs(7)).await;
    gate.open();
    for handle in &handles {
        let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
        assert_eq!(result.attempts(), 1);
    }
    let history = ledger.history();
    let holder = history.within(holder.id().unwrap());
    for handle in &handles {
        assert_eq!(history.of(handle.id()).count("start"), 1, "a held claim was lost\n{}", history.of(handle.id()));
        assert_eq!(holder.of(handle.id()).count("end"), 1);
    }
    servers.delete(&queue).await;
}
