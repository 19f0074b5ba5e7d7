//! The contract again, and a node's death, with a cluster of three nodes.

#![cfg(feature = "cluster")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use support::{Server, TTL, ended, eventually, record};
use taskq_conformance::ResultsHarness;
use taskq_core::{ResultBackend, ResultError, TaskId};
use taskq_redis_results::RedisResults;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_921), (10_922, 16_383)];

struct Cluster {
    nodes: Vec<Server>,
    prefix: String,
}

impl Cluster {
    async fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let mut nodes = Vec::new();
        for (from, to) in SLOTS {
            let node = Server::start(&options).await;
            let mut connection = node.connect().await;
            let range = redis::cmd("CLUSTER").arg(&["ADDSLOTSRANGE"]).arg(from).arg(to).to_owned();
            let _: () = range.query_async(&mut connection).await.unwrap();
            nodes.push(node);
        }
        let mut first = nodes[0].connect().await;
        for node in &nodes[1..] {
            let meet = redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(node.port()).to_owned();
            let _: () = meet.query_async(&mut first).await.unwrap();
        }
        let cluster = Cluster { nodes, prefix: "taskq".into() };
        cluster.is_whole().await;
        cluster
    }

    async fn is_whole(&self) {
        for node in &self.nodes {
            eventually("a node knows the whole cluster", async || {
                let mut connection = node.connect().await;
                let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await.unwrap();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
            .await;
        }
    }

    fn results(&self) -> RedisResults {
        RedisResults::cluster(self.nodes.iter().map(Server::url)).prefix(&self.prefix)
    }
}

/// One cluster for all tests of this file that run at the same time; ids keep them apart.
static SHARED: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());

struct SharedCluster(Arc<Cluster>);

impl SharedCluster {
    async fn find() -> Self {
        let mut shared = SHARED.lock().await;
        if let Some(cluster) = shared.upgrade() {
            return SharedCluster(cluster);
        }
        let cluster = Arc::new(Cluster::start().await);
        *shared = Arc::downgrade(&cluster);
        SharedCluster(cluster)
    }
}

impl ResultsHarness for SharedCluster {
    type Results = RedisResults;

    async fn connect(&self) -> RedisResults {
        self.0.results()
    }
}

taskq_conformance::results_suite!(SharedCluster::find().await);

#[tokio::test]
async fn a_wait_is_woken_by_its_shard() {
    let cluster = SharedCluster::find().await.0;
    let (one, other) = (cluster.results(), cluster.results());
    let ids: Vec<TaskId> = (0..30).map(|_| TaskId::new()).collect();
    let mut waits = futures_util::future::join_all(ids.iter().map(|id| one.wait(id, 0)));
    // Looks without a push come 1 and 3 seconds after the first, and the next of them at 7 seconds.
    assert!(timeout(Duration::from_secs(4), &mut waits).await.is_err());
    let stored = Instant::now();
    for id in &ids {
        other.store(id, &record(0), TTL).await.unwrap();
    }
    assert!(ended(waits).await.iter().all(Result::is_ok));
    assert!(stored.elapsed() < Duration::from_secs(2), "they were not pushed but looked for");
}

#[tokio::test]
async fn waits_ride_out_a_node_that_is_killed_and_restarted() {
    let mut cluster = Cluster::start().await;
    let (one, other) = (cluster.results(), cluster.results());
    one.startup().await.unwrap();
    let ids: Vec<TaskId> = (0..30).map(|_| TaskId::new()).collect();
    let mut waits = futures_util::future::join_all(ids.iter().map(|id| one.wait(id, 0)));
    assert!(timeout(Duration::from_millis(500), &mut waits).await.is_err());
    for n in 0..cluster.nodes.len() {
        cluster.nodes[n].kill();
        assert!(timeout(Duration::from_millis(500), &mut waits).await.is_err());
        cluster.nodes[n].run().await;
        cluster.is_whole().await;
    }
    for id in &ids {
        eventually("the record is stored", async || other.store(id, &record(0), TTL).await.is_ok()).await;
    }
    assert!(ended(waits).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn without_a_cluster_a_call_fails_in_bounded_time() {
    let results = RedisResults::cluster(["redis://:s3cret@127.0.0.1:1", "redis://:s3cret@127.0.0.1:2"]);
    let error = ended(results.fetch(&TaskId::new())).await.unwrap_err();
    assert!(matches!(error, ResultError::Store { .. }), "{error:?}");
    assert!(!format!("{error:?} {results:?}").contains("s3cret"), "{error:?} {results:?}");
    let none: [&str; 0] = [];
    assert!(matches!(RedisResults::cluster(none).startup().await, Err(ResultError::SetUp { .. })));
}
