//! Follows all tasks that this process waits for: what is to be looked at together makes one way to the server and back.

use crate::{
    live::Shared,
    operations,
    trouble::Trouble,
    waiters::{Last, Look},
};
use futures_util::future::join_all;
use std::{slice, sync::Arc, time::Duration};
use taskq_core::{ResultRecord, TaskId};
use tokio::time::timeout;

/// So many are looked at together at most.
const TOGETHER: usize = 128;
/// How long the first wait of a process holds back for its subscription, which spares a second look.
const SUBSCRIPTION_LIMIT: Duration = Duration::from_millis(250);

/// Does not end by itself.
pub(crate) async fn follow(shared: Arc<Shared>) {
    shared.waiters.any().await;
    let mut made = shared.subscription.made.subscribe();
    let _ = timeout(SUBSCRIPTION_LIMIT, made.wait_for(|made| *made)).await;
    loop {
        let looks = shared.waiters.looks(TOGETHER).await;
        if shared.link.address().is_cluster() {
            // Each may be on another node, and one that is away holds up nobody else.
            for look in looks {
                let shared = shared.clone();
                tokio::spawn(async move { look_at_one(&shared, &look).await });
            }
        } else {
            look_at_all(&shared, &looks).await;
        }
    }
}

async fn look_at_all(shared: &Shared, looks: &[Look]) {
    match operations::look(shared, looks).await {
        Ok(records) => {
            for (look, record) in looks.iter().zip(records) {
                found(shared, &look.id, record);
            }
        }
        // It may be of one of them alone.
        Err(_) => drop(join_all(looks.iter().map(|look| look_at_one(shared, look))).await),
    }
}

async fn look_at_one(shared: &Shared, look: &Look) {
    match operations::look(shared, slice::from_ref(look)).await {
        Ok(records) => records.into_iter().for_each(|record| found(shared, &look.id, record)),
        Err(trouble @ Trouble::Refused(_)) => shared.waiters.found(&look.id, Last::Refused(trouble)),
        Err(trouble) => {
            tracing::debug!(task.id = %look.id, error = %trouble, "looking for a result failed; looking again soon");
        }
    }
}

fn found(shared: &Shared, id: &TaskId, record: Option<Vec<u8>>) {
    let Some(bytes) = record else { return };
    let last = match ResultRecord::decode(&bytes) {
        Ok(record) => Last::Record(record),
        Err(error) => Last::Unreadable(error.to_string()),
    };
    shared.waiters.found(id, last);
}
