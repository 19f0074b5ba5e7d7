//! Two tasks of one name meet when the app starts.

use taskq_core::{BrokerExt, InMemoryBroker};
use taskq_macros::task;

#[task(name = "twin", crate = taskq_core)]
pub async fn first() {}

#[task(name = "twin", crate = taskq_core)]
pub async fn second() {}

#[tokio::test]
async fn a_name_that_two_tasks_share_stops_the_start_and_shows_both_places() {
    let error = InMemoryBroker::new().into_app().startup().await.unwrap_err().to_string();
    let lines: Vec<String> = include_str!("duplicate.rs")
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("#[task"))
        .map(|(index, _)| format!("duplicate.rs:{}", index + 1))
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(error.contains("`twin`") && lines.iter().all(|line| error.contains(line)), "{error}");
}
