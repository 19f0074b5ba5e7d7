//! Three RabbitMQ nodes, of which one or two are lost at a time, while publishers and workers go on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::{future::IntoFuture, time::Duration};
use support::{Servers, ledger::Ledger};
use taskq::{KiqError, prelude::*};
use taskq_faults::{
    rabbit::{Cluster, Settings},
    redis::Redis,
    wait::eventually,
};
use taskq_process_tests::nap;
use tokio::{
    process::Child,
    task::JoinHandle,
    time::{sleep, timeout},
};

const QUEUE: &str = "work";

/// For what waits until nodes have agreed.
const LONG: Duration = Duration::from_secs(120);

/// What one fault leaves to the next: they share the cluster, which takes long to form.
struct Stage {
    cluster: Cluster,
    app: App,
    ledger: Ledger,
    _workers: Vec<Child>,
    _redis: Redis,
}

impl Stage {
    async fn new() -> Stage {
        let settings = Settings::new().dead_letter_timeout(Duration::from_secs(5));
        let (cluster, redis, ledger) =
            (Cluster::start(&settings).await.unwrap(), Redis::start().await.unwrap(), Ledger::new());
        let servers = Servers::shared().with_amqp(cluster.urls().join(",")).with_redis(redis.url());
        let app = servers.app(QUEUE);
        app.startup().await.unwrap();
        let _workers = (0..2).map(|_| servers.worker(QUEUE, &ledger, &["--concurrency", "20"])).collect();
        Stage { cluster, app, ledger, _workers, _redis: redis }
    }

    /// Submits tasks all the while.
    fn load(&self) -> Load {
        let app = self.app.clone();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let sending = tokio::spawn(async move {
            let (mut confirmed, mut unknown) = (Vec::new(), 0);
            while stopped.try_recv().is_err() {
                match nap.kiq(20).within("60s").on(&app).await {
                    Ok(handle) => confirmed.push(handle),
                    Err(KiqError::Unknown { .. }) => unknown += 1,
                    Err(error) => panic!("a publish fails while nodes come and go: {error:?}"),
                }
                sleep(Duration::from_millis(10)).await;
            }
            (confirmed, unknown)
        });
        Load { stop, sending }
    }

    /// Nothing that was confirmed is lost.
    async fn all_end(&self, fault: &str, load: Load) {
        let _ = load.stop.send(());
        let (confirmed, unknown) = timeout(LONG, load.sending).await.expect("the last publish ends").unwrap();
        assert!(confirmed.len() > 50, "{fault}: there was no load: {}", confirmed.len());
        for handle in &confirmed {
            let result = handle.wait_result().timeout(LONG).await;
            let result = result.unwrap_or_else(|error| panic!("{fault}: {} is lost: {error}", handle.id()));
            assert_eq!((result.attempts(), result.is_ok()), (1, true), "{fault}");
        }
        let starts = self.ledger.starts();
        let repeated = confirmed.iter().filter(|handle| starts[handle.id().as_str()] > 1).count();
        println!("{fault}: {} confirmed, {unknown} unknown, {repeated} began more than once", confirmed.len());
    }

    async fn some_more_end(&self, load: &Load, what: &str) {
        assert!(!load.sending.is_finished(), "the publisher gave up");
        let before = self.ledger.count("end");
        let goes_on = async || self.ledger.count("end") >= before + 50;
        eventually(what, goes_on).await;
    }
}

struct Load {
    stop: tokio::sync::oneshot::Sender<()>,
    sending: JoinHandle<(Vec<TaskHandle<u32>>, usize)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_nothing_that_was_confirmed_is_lost_while_nodes_are_frozen_and_stopped() {
    let mut stage = Stage::new().await;
    frozen_leader(&mut stage).await;
    stopped_node_and_then_no_majority(&mut stage).await;
}

/// A channel of RabbitMQ 3.10 that is opened between the end of a node and the choice of a new leader refuses all that it is
/// given for the queues which that node led, until the node is back; another channel takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_publishing_goes_on_without_the_node_that_is_killed_with_the_leader_of_the_queue() {
    let mut stage = Stage::new().await;
    let load = stage.load();
    stage.some_more_end(&load, "work flows before anything happens").await;
    let leader = stage.cluster.leader_of(QUEUE).await.unwrap();
    stage.cluster.node_mut(leader).kill();
    stage.some_more_end(&load, "work flows without the old leader").await;
    stage.all_end("a killed leader", load).await;
}

/// For less long than the others take to give it up: its connections hold, and what was on its way is answered late or
/// never.
async fn frozen_leader(stage: &mut Stage) {
    let load = stage.load();
    stage.some_more_end(&load, "work flows before the leader is frozen").await;
    let leader = stage.cluster.leader_of(QUEUE).await.unwrap();
    let in_flight: Vec<_> =
        (0..50).map(|_| tokio::spawn(nap.kiq(0).within("60s").on(&stage.app).into_future())).collect();
    stage.cluster.nodes()[leader].freeze().unwrap();
    sleep(Duration::from_secs(5)).await;
    stage.cluster.nodes()[leader].thaw().unwrap();
    for publishing in in_flight {
        match timeout(LONG, publishing).await.expect("every publish ends").unwrap() {
            Ok(handle) => assert!(handle.wait_result().timeout(LONG).await.unwrap().is_ok()),
            Err(KiqError::Unknown { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    stage.some_more_end(&load, "work flows after the leader goes on").await;
    stage.all_end("a frozen leader", load).await;
}

/// With one node of three nothing may be confirmed; with two of three everything goes on.
async fn stopped_node_and_then_no_majority(stage: &mut Stage) {
    let load = stage.load();
    stage.some_more_end(&load, "work flows with all nodes").await;
    stage.cluster.node_mut(0).stop().await.unwrap();
    stage.some_more_end(&load, "work flows with two nodes").await;
    stage.cluster.node_mut(1).stop().await.unwrap();
    let app = stage.app.clone();
    let alone = nap.kiq(0).within("3s").on(&app).await.expect_err("one node of three confirms nothing");
    assert!(alone.is_retryable() || matches!(alone, KiqError::Unknown { .. }), "{alone:?}");
    println!("without a majority: {alone}");
    let (waiting, began) = (nap.kiq(0).within("2m").on(&app).into_future(), stage.ledger.count("start"));
    let waiting = tokio::spawn(waiting);
    stage.cluster.run_all().await.unwrap();
    let handle =
        timeout(LONG, waiting).await.expect("it ends").unwrap().expect("a patient publish is confirmed in the end");
    assert!(handle.wait_result().timeout(LONG).await.unwrap().is_ok());
    stage.some_more_end(&load, "work flows again with all nodes").await;
    stage.all_end("a lost majority", load).await;
    assert!(stage.ledger.count("start") > began);
}
