//! The contract again, and a node's death, with a cluster of three nodes.

#![cfg(feature = "cluster")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use support::{TTL, record};
use taskq_conformance::ResultsHarness;
use taskq_core::{ResultBackend, ResultError, TaskId};
use taskq_faults::{
    redis::Cluster,
    wait::{ended, eventually},
};
use taskq_redis_results::RedisResults;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

fn results_of(cluster: &Cluster) -> RedisResults {
    RedisResults::cluster(cluster.urls()).prefix("taskq")
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
        let cluster = Arc::new(Cluster::start().await.unwrap());
        *shared = Arc::downgrade(&cluster);
        SharedCluster(cluster)
    }
}

impl ResultsHarness for SharedCluster {
    type Results = RedisResults;

    async fn connect(&self) -> RedisResults {
        results_of(&self.0)
    }
}

taskq_conformance::results_suite!(SharedCluster::find().await);

#[tokio::test]
async fn a_wait_is_woken_by_its_shard() {
    let cluster = SharedCluster::find().await.0;
    let (one, other) = (results_of(&cluster), results_of(&cluster));
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
    let mut cluster = Cluster::start().await.unwrap();
    let (one, other) = (results_of(&cluster), results_of(&cluster));
    one.startup().await.unwrap();
    let ids: Vec<TaskId> = (0..30).map(|_| TaskId::new()).collect();
    let mut waits = futures_util::future::join_all(ids.iter().map(|id| one.wait(id, 0)));
    assert!(timeout(Duration::from_millis(500), &mut waits).await.is_err());
    for n in 0..cluster.nodes().len() {
        cluster.node_mut(n).kill();
        assert!(timeout(Duration::from_millis(500), &mut waits).await.is_err());
        cluster.node_mut(n).run().await.unwrap();
        cluster.whole().await.unwrap();
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
