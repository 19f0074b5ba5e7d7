//! Follows all tasks that this process waits for: what is to be looked at together makes one way to the server and back.
//! Where that does not work each look goes on by itself, so that none holds up another.

use crate::{
    live::Shared,
    operations,
    trouble::Trouble,
    waiters::{Last, Look},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{sync::Arc, time::Duration};
use taskq_core::{ResultRecord, TaskId};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// So many groups are on their way at most: what falls due meanwhile goes together.
const GROUPS: usize = 4;
/// So many are looked at together at most.
const TOGETHER: usize = 128;
/// How long the first wait of a process holds back for its subscription, which spares a second look.
const SUBSCRIPTION_LIMIT: Duration = Duration::from_millis(250);

/// Does not end by itself.
pub(crate) async fn follow(shared: Arc<Shared>) {
    shared.waiters.any().await;
    let mut made = shared.subscription.made.subscribe();
    let _ = timeout(SUBSCRIPTION_LIMIT, made.wait_for(|made| *made)).await;
    let (mut room, mut groups) = (Room::default(), FuturesUnordered::new());
    loop {
        tokio::select! {
            looks = shared.waiters.looks(room.left().min(TOGETHER)), if groups.len() < GROUPS && room.left() > 0 => {
                // In a cluster each may be on another node.
                if shared.link.address().is_cluster() {
                    apart(&shared, looks);
                } else {
                    room.taken += looks.len();
                    groups.push(together(&shared, looks));
                }
            }
            Some(group) = groups.next() => room.learn(&group),
        }
    }
}

/// How many may be looked at together: their records are to come long before anything takes the server for dead.
struct Room {
    size: usize,
    taken: usize,
}

/// What became of a group.
struct Group {
    looks: usize,
    /// How many records were found and their bytes, if it came back.
    found: Option<(usize, usize)>,
}

impl Room {
    const LEAST: usize = 16;
    const MOST: usize = 512;
    /// So many bytes of records are to be on their way.
    const BYTES: usize = 1024 * 1024;

    fn left(&self) -> usize {
        self.size.saturating_sub(self.taken)
    }

    fn learn(&mut self, group: &Group) {
        self.taken -= group.looks;
        let most = Room::MOST.min(2 * self.size);
        self.size = match group.found {
            // It may have been too much.
            None => (self.size / 4).max(1),
            Some((_, 0)) => most,
            Some((records, bytes)) => (Room::BYTES * records / bytes).clamp(1, most),
        };
    }
}

impl Default for Room {
    fn default() -> Self {
        Room { size: Room::LEAST, taken: 0 }
    }
}

async fn together(shared: &Arc<Shared>, looks: Vec<Look>) -> Group {
    let count = looks.len();
    let found = match operations::look_once(shared, &looks).await {
        Ok(records) => Some(all_found(shared, &looks, records)),
        // One of them may be at fault, the line too slow for all, or the server away.
        Err(trouble) => {
            // What else is asked for needs the same server, but not the same keys, nor to crowd a slow line.
            let others = if trouble.is_of_the_server() { shared.waiters.asked() } else { Vec::new() };
            apart(shared, looks.into_iter().chain(others));
            None
        }
    };
    Group { looks: count, found }
}

fn all_found(shared: &Shared, looks: &[Look], records: Vec<Option<Vec<u8>>>) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for (look, record) in looks.iter().zip(records) {
        if let Some(record) = record {
            (count, bytes) = (count + 1, bytes + record.len());
            found(shared, &look.id, &record);
        }
        shared.waiters.looked(look);
    }
    (count, bytes)
}

/// Each for itself, for as long as it takes or somebody waits.
fn apart(shared: &Arc<Shared>, looks: impl IntoIterator<Item = Look>) {
    for look in looks {
        let alone = tokio::spawn(look_alone(shared.clone(), look.clone()));
        shared.waiters.goes_on(&look, AbortOnDropHandle::new(alone));
    }
}

async fn look_alone(shared: Arc<Shared>, look: Look) {
    match operations::look(&shared, &look).await {
        Ok(record) => record.iter().for_each(|record| found(&shared, &look.id, record)),
        Err(trouble @ Trouble::Refused(_)) => shared.waiters.found(&look.id, Last::Refused(trouble)),
        Err(trouble) => {
            tracing::debug!(task.id = %look.id, error = %trouble, "looking for a result failed; looking again soon");
        }
    }
    shared.waiters.looked(&look);
}

fn found(shared: &Shared, id: &TaskId, record: &[u8]) {
    let last = match ResultRecord::decode(record) {
        Ok(record) => Last::Record(record),
        Err(error) => Last::Unreadable(error.to_string()),
    };
    shared.waiters.found(id, last);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_until_records_take_a_mebibyte_together_and_shrinks_after_trouble() {
        let mut room = Room::default();
        let mut after = |found| {
            room.taken += 1;
            room.learn(&Group { looks: 1, found });
            room.left()
        };
        assert_eq!([Some((0, 0)), Some((9, 900))].map(&mut after), [32, 64]);
        assert_eq!([Some((16, 1600)); 4].map(&mut after), [128, 256, Room::MOST, Room::MOST]);
        assert_eq!([Some((3, 3 << 18)), Some((1, 1 << 20)), Some((1, 9 << 20))].map(&mut after), [4, 1, 1]);
        assert_eq!([Some((1, 100)), Some((0, 0)), None, None].map(&mut after), [2, 4, 1, 1]);
    }
}
