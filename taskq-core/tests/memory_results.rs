//! The in-memory results keep the contract, on time that is paused and on time that is not.

use std::time::Duration;
use taskq_conformance::ResultsHarness;
use taskq_core::{End, InMemoryResults, ResultBackend, ResultRecord, TaskId};

struct InMemory(InMemoryResults);

impl ResultsHarness for InMemory {
    type Results = InMemoryResults;

    async fn connect(&self) -> InMemoryResults {
        self.0.clone()
    }
}

taskq_conformance::results_suite!(InMemory(InMemoryResults::new()));

#[tokio::test(start_paused = true)]
async fn a_day_of_keeping_passes_with_paused_time() {
    let (results, id, day) = (InMemoryResults::new(), TaskId::new(), Duration::from_secs(24 * 60 * 60));
    results.store(&id, &ResultRecord::new(End::Expired, "t"), day).await.unwrap();
    tokio::time::sleep(day - Duration::from_secs(1)).await;
    assert!(results.fetch(&id).await.unwrap().is_some());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(results.fetch(&id).await.unwrap().is_none());
}

#[test]
fn a_wait_in_one_runtime_is_ended_by_a_store_in_another() {
    let (results, id) = (InMemoryResults::new(), TaskId::new());
    let record = ResultRecord::new(End::Cancelled, "t");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let waiter = std::thread::spawn({
        let (results, id) = (results.clone(), id.clone());
        move || {
            runtime().block_on(async move { tokio::time::timeout(Duration::from_secs(30), results.wait(&id, 0)).await })
        }
    });
    runtime().block_on(results.store(&id, &record, Duration::from_secs(60))).unwrap();
    assert_eq!(waiter.join().unwrap().expect("the wait did not end").unwrap(), record);
}
