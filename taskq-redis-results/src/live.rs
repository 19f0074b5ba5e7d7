//! What runs behind a [`RedisResults`](crate::RedisResults): a small runtime of its own, so that connections outlive
//! the runtime of whoever used them first.

use crate::{
    address::Address,
    follow::follow,
    group::{self, Earlier, Entry},
    keys::Keys,
    link::Link,
    marks::{self, Marked, Marks},
    operations::{self, WAKE_LIMIT},
    subscription::{self, Subscription},
    trouble::Trouble,
    waiters::{Last, Waiters},
};
use std::{io, sync::Arc, time::Duration};
use taskq_core::{ResultError, ResultRecord, TaskId};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::{sleep, timeout},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Shorter than all limits of commands, and long enough to cost next to nothing.
const TICK: Duration = Duration::from_millis(500);

/// What all tasks on the runtime share.
pub(crate) struct Shared {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    pub(crate) waiters: Waiters,
    pub(crate) marks: Marks,
    pub(crate) subscription: Subscription,
    /// What goes on when nobody waits for it: stores, and telling those who wait for a result.
    pub(crate) telling: TaskTracker,
    /// The name of this process among those who wait.
    pub(crate) process: String,
}

impl Shared {
    pub(crate) fn error(&self, trouble: Trouble) -> ResultError {
        trouble.into_error(self.link.address())
    }
}

/// The runtime and what runs on it. Dropping it ends all of it at once.
pub(crate) struct Live {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Live {
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(address: Address, keys: Keys) -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("taskq-redis-results").enable_all().build()?;
        let shared = Arc::new(Shared {
            link: Link::new(address),
            keys,
            waiters: Waiters::default(),
            marks: Marks::default(),
            subscription: Subscription::default(),
            telling: TaskTracker::new(),
            process: uuid::Uuid::now_v7().simple().to_string(),
        });
        let handle = runtime.handle().clone();
        handle.spawn(subscription::listen(shared.clone()));
        handle.spawn(follow(shared.clone()));
        handle.spawn(keep_a_timer());
        Ok(Live { shared, runtime: Some(runtime), handle })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Runs `operation` on the runtime; dropping the future ends it.
    pub(crate) async fn run<T: Send + 'static, F>(
        &self,
        operation: impl FnOnce(Arc<Shared>) -> F,
    ) -> Result<T, ResultError>
    where
        F: Future<Output = Result<T, ResultError>> + Send + 'static,
    {
        let running = AbortOnDropHandle::new(self.handle.spawn(operation(self.shared.clone())));
        running.await.unwrap_or_else(|_| Err(self.shared.error(Trouble::closed())))
    }

    /// The same, but what was begun goes on when the future is dropped.
    pub(crate) async fn run_to_end<T: Send + 'static, F>(
        &self,
        operation: impl FnOnce(Arc<Shared>) -> F,
    ) -> Result<T, ResultError>
    where
        F: Future<Output = Result<T, ResultError>> + Send + 'static,
    {
        let running = self.shared.telling.spawn_on(operation(self.shared.clone()), &self.handle);
        running.await.unwrap_or_else(|_| Err(self.shared.error(Trouble::closed())))
    }

    /// Stores a record. Once begun it goes on when the future is dropped.
    pub(crate) async fn store(&self, entry: Entry) -> Earlier {
        let Entry { id, round, bytes, ttl } = entry;
        self.run_to_end(move |shared| async move { operations::store(&shared, &id, round, &bytes, ttl).await }).await
    }

    /// The same for many.
    pub(crate) async fn store_many(&self, entries: Vec<Entry>) -> Vec<Earlier> {
        let count = entries.len();
        let storing = self.run_to_end(move |shared| async move { Ok(group::store(shared, entries).await) });
        storing.await.unwrap_or_else(|_| (0..count).map(|_| Err(self.shared.error(Trouble::closed()))).collect())
    }

    pub(crate) async fn wait(&self, id: &TaskId, round: u32) -> Result<ResultRecord, ResultError> {
        let mut wait = self.shared.waiters.join(id, round);
        match wait.ended().await {
            Last::Record(record) => Ok(record),
            Last::Unreadable(reason) => {
                Err(ResultError::Decode { id: id.clone(), wanted: "ResultRecord", source: reason.into() })
            }
            Last::Refused(trouble) => Err(self.shared.error(trouble)),
        }
    }

    /// Resolves when the server knows. There may be tens of thousands at once: none has a task of its own.
    pub(crate) async fn mark(&self, id: &TaskId) -> Result<Marked, ResultError> {
        marks::mark(&self.shared, &self.handle, id).await.map_err(|trouble| self.shared.error(trouble))
    }

    pub(crate) async fn check(&self) -> Result<(), ResultError> {
        self.run(|shared| async move { operations::check(&shared).await }).await
    }

    /// Disconnects when all who wait for what was stored here have been told.
    pub(crate) async fn close(&self) {
        let shared = self.shared.clone();
        let told = self.handle.spawn(async move {
            shared.telling.close();
            let _ = timeout(WAKE_LIMIT, shared.telling.wait()).await;
            shared.telling.reopen();
        });
        // The runtime is ours, and goes with us.
        let _ = told.await;
        self.shared.link.disconnect();
        self.shared.subscription.disconnect();
    }
}

/// Each limit of a command is a timer, and setting it makes its own runtime wake itself (tokio 1.54), which is two calls of the
/// system for each: unless another timer is set that ends earlier. This one always is.
async fn keep_a_timer() {
    loop {
        sleep(TICK).await;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // The last handle may be dropped inside another runtime, which must not be blocked.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
