//! The small runtime that all connections of one broker live on.
//!
//! An app outlives the runtime of one test this way, and user code that blocks its own runtime does not stop heartbeats.

use std::{
    io,
    time::{Duration, Instant},
};
use taskq_core::BrokerError;
use tokio::{runtime, time::Timeout};

/// lapin reads and writes on a thread of its own; with a second one here, the two would wake each other all the time.
const THREADS: usize = 1;

pub(crate) struct Runtime(Option<runtime::Runtime>);

impl Runtime {
    pub(crate) fn start() -> io::Result<Runtime> {
        let mut builder = runtime::Builder::new_multi_thread();
        builder
            .worker_threads(THREADS)
            .thread_name("taskq-amqp")
            .enable_all()
            .build()
            .map(|runtime| Runtime(Some(runtime)))
    }

    pub(crate) fn spawn<F>(&self, future: F) -> Result<tokio::task::JoinHandle<F::Output>, BrokerError>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.as_ref().map(|runtime| runtime.spawn(future)).ok_or(BrokerError::Closed)
    }

    /// Runs `future` here, whatever runtime awaits it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, BrokerError>> + Send + 'static,
    ) -> Result<T, BrokerError> {
        self.spawn(future)?.await.unwrap_or(Err(BrokerError::Closed))
    }

    /// Bounds `future` by this runtime's clock, which no test pauses.
    pub(crate) fn by<F: Future>(&self, deadline: Instant, future: F) -> Result<Timeout<F>, BrokerError> {
        let _inside = self.0.as_ref().ok_or(BrokerError::Closed)?.enter();
        Ok(tokio::time::timeout_at(deadline.into(), future))
    }

    /// Runs `last` and ends, without holding up the caller, who may be inside another runtime.
    pub(crate) fn end_after(&mut self, last: impl Future<Output = ()> + Send + 'static, limit: Duration) {
        let ending = Runtime(self.0.take());
        let end = move || {
            if let Some(runtime) = &ending.0 {
                // A server that does not answer is not waited for.
                let _ = runtime.block_on(async { tokio::time::timeout(limit, last).await });
            }
        };
        if let Err(error) = std::thread::Builder::new().name("taskq-amqp-end".into()).spawn(end) {
            tracing::warn!(%error, "no thread to close the connections from");
        }
    }
}

impl Drop for Runtime {
    /// Dropping a tokio runtime inside another one panics; this does not.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
