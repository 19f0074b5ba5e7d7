//! Follows one task for all in this process that wait for it, until none of them is left.

use crate::{
    live::Shared,
    operations,
    trouble::Trouble,
    waiters::{Entry, Seen},
};
use std::{sync::Arc, time::Duration};
use taskq_core::{ResultRecord, TaskId};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// The first and the longest pause between two looks that nobody asked for.
const LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// How long the first wait of a process holds back for its subscription, which spares a second look.
const SUBSCRIPTION_LIMIT: Duration = Duration::from_millis(250);

/// Runs until the last wait for `id` is gone.
pub(crate) async fn follow(shared: Arc<Shared>, id: TaskId, entry: Arc<Entry>) {
    loop {
        tokio::select! {
            () = entry.seen.closed() => {
                if shared.waiters.leave_if_unwanted(&id) {
                    return;
                }
            }
            last = look_again_and_again(&shared, &id, &entry) => {
                shared.waiters.leave_with(&id, last);
                return;
            }
        }
    }
}

/// Shows every new record to those who wait; ends only with what ends all of the waits.
async fn look_again_and_again(shared: &Shared, id: &TaskId, entry: &Entry) -> Seen {
    let mut made = shared.subscription.made.subscribe();
    let _ = timeout(SUBSCRIPTION_LIMIT, made.wait_for(|made| *made > 0)).await;
    let (mut pause, longest) = LOOKS;
    let mut enter = true;
    loop {
        made.mark_unchanged();
        match look(shared, id, enter).await {
            Ok(Some(record)) => show(entry, record),
            Ok(None) => {}
            Err(last) => return last,
        }
        enter = tokio::select! {
            () = entry.wake.notified() => false,
            () = remade(&mut made) => true,
            () = sleep(pause) => {
                let was_longest = pause == longest;
                pause = longest.min(pause * 2);
                was_longest
            }
        };
    }
}

/// The server may have come back without its memory, and without this process among those who wait.
async fn remade(made: &mut watch::Receiver<u64>) {
    if made.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn look(shared: &Shared, id: &TaskId, enter: bool) -> Result<Option<ResultRecord>, Seen> {
    let looked = match enter {
        true => operations::enter_and_get(shared, id).await,
        false => operations::get(shared, id, None).await,
    };
    match looked {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => match ResultRecord::decode(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(error) => Err(Seen::Unreadable(error.to_string())),
        },
        Err(trouble @ Trouble::Refused(_)) => Err(Seen::Refused(trouble)),
        Err(trouble) => {
            tracing::debug!(task.id = %id, error = %trouble, "looking for a result failed; looking again soon");
            Ok(None)
        }
    }
}

fn show(entry: &Entry, record: ResultRecord) {
    entry.seen.send_if_modified(|seen| {
        let new = !matches!(seen, Seen::Record(shown) if shown.round >= record.round);
        if new {
            *seen = Seen::Record(Arc::new(record));
        }
        new
    });
}
