//! The stage that end-to-end tests play on: the same test on memory, and on RabbitMQ with Redis.

#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures_util::FutureExt;
use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
};
use taskq::{InMemoryBroker, Worker, prelude::*};
use taskq_faults::{
    rabbit::Client,
    shared::{amqp_url, redis_url},
    wait::PATIENCE,
};
use tokio_util::sync::CancellationToken;

/// What tests do to RabbitMQ behind taskq's back.
pub async fn operator() -> Client {
    Client::of(&amqp_url()).await
}

pub fn unique(label: &str) -> String {
    format!("test-{label}-{}", taskq::TaskId::new())
}

/// Runs each test once per kind of broker.
#[macro_export]
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_memory {
            $(#[tokio::test(start_paused = true)]
            async fn $test() {
                $crate::support::play($crate::support::Stage::memory(), super::$test).await;
            })*
        }
        mod on_rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::support::play($crate::support::Stage::rabbitmq(), super::$test).await;
            })*
        }
    };
}

/// What a broker of a test's own leaves to the one in this field: all but publishing.
#[macro_export]
macro_rules! broker_but_publish {
    ($field:tt) => {
        fn capabilities(&self) -> taskq::Capabilities {
            self.$field.capabilities()
        }

        fn declare<'a>(&'a self, queue: &'a taskq::QueueSpec) -> taskq::BoxFuture<'a, Result<(), taskq::BrokerError>> {
            self.$field.declare(queue)
        }

        fn consume<'a>(
            &'a self,
            queue: &'a taskq::QueueSpec,
            prefetch: std::num::NonZeroU16,
        ) -> taskq::BoxFuture<'a, Result<taskq::Consumer, taskq::BrokerError>> {
            self.$field.consume(queue, prefetch)
        }

        fn inspect<'a>(&'a self, queue: &'a str) -> taskq::BoxFuture<'a, Result<taskq::QueueInfo, taskq::BrokerError>> {
            self.$field.inspect(queue)
        }

        fn close(&self) -> taskq::BoxFuture<'_, Result<(), taskq::BrokerError>> {
            self.$field.close()
        }

        fn default_results(&self) -> Option<std::sync::Arc<dyn taskq::ResultBackend>> {
            self.$field.default_results()
        }

        fn embedded_concurrency(&self, queue: &str) -> Option<std::num::NonZeroUsize> {
            self.$field.embedded_concurrency(queue)
        }
    };
}

/// What a result backend of a test's own leaves to the one in this field: records.
#[macro_export]
macro_rules! results_but_claims {
    ($field:tt) => {
        fn store<'a>(
            &'a self,
            id: &'a taskq::TaskId,
            record: &'a taskq::ResultRecord,
            ttl: std::time::Duration,
        ) -> taskq::BoxFuture<'a, Result<Option<taskq::ResultRecord>, taskq::ResultError>> {
            self.$field.store(id, record, ttl)
        }

        fn fetch<'a>(
            &'a self,
            id: &'a taskq::TaskId,
        ) -> taskq::BoxFuture<'a, Result<Option<taskq::ResultRecord>, taskq::ResultError>> {
            self.$field.fetch(id)
        }

        fn wait<'a>(
            &'a self,
            id: &'a taskq::TaskId,
            round: u32,
        ) -> taskq::BoxFuture<'a, Result<taskq::ResultRecord, taskq::ResultError>> {
            self.$field.wait(id, round)
        }
    };
}

/// Runs the test, then cleans up, whatever came of it.
pub async fn play<F: Future<Output = ()>>(stage: Stage, test: impl FnOnce(Stage) -> F) {
    let outcome = AssertUnwindSafe(tokio::time::timeout(PATIENCE * 2, test(stage.clone()))).catch_unwind().await;
    stage.clear().await;
    match outcome {
        Ok(in_time) => in_time.expect("the test did not end"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

type Running = tokio::task::JoinHandle<Result<(), taskq::WorkerError>>;

#[derive(Clone)]
pub struct Stage {
    pub queue: String,
    memory: Option<InMemoryBroker>,
    queues: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    workers: Arc<Mutex<Vec<Running>>>,
}

impl Stage {
    pub fn memory() -> Self {
        Stage::new(Some(InMemoryBroker::new()))
    }

    pub fn rabbitmq() -> Self {
        Stage::new(None)
    }

    fn new(memory: Option<InMemoryBroker>) -> Self {
        let queue = unique("q");
        Stage {
            queues: Arc::new(Mutex::new(vec![queue.clone()])),
            queue,
            memory,
            stop: CancellationToken::new(),
            workers: Arc::default(),
        }
    }

    pub fn is_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// A further queue of this test's own.
    pub fn queue(&self, label: &str) -> String {
        let name = unique(label);
        self.queues.lock().unwrap().push(name.clone());
        name
    }

    /// An app whose tasks go to this test's own queue. Nobody works for it yet, unless it is in memory.
    pub fn app(&self) -> App {
        match &self.memory {
            Some(broker) => broker.clone().with_default_queue(&self.queue),
            None => AmqpBroker::new(amqp_url())
                .with_result_backend(RedisResults::new(redis_url()))
                .with_default_queue(&self.queue),
        }
    }

    /// The same without a worker, also in memory.
    pub fn idle_app(&self) -> App {
        match &self.memory {
            Some(broker) => broker.clone().without_worker().with_default_queue(&self.queue),
            None => self.app(),
        }
    }

    /// Starts the app, and a worker for it.
    pub async fn start(&self, app: App) -> App {
        self.start_with(app, |worker| worker).await
    }

    /// Starts the app, and a worker with these options.
    pub async fn start_with(&self, app: App, options: impl FnOnce(Worker) -> Worker) -> App {
        app.startup().await.expect("the app starts");
        let worker = options(app.worker());
        let stop = self.stop.clone();
        let run = worker.run_until_stopped(stop, CancellationToken::new());
        self.workers.lock().unwrap().push(tokio::spawn(run));
        app
    }

    /// Stops the workers and deletes the queues.
    pub async fn clear(&self) {
        self.stop.cancel();
        let workers: Vec<_> = self.workers.lock().unwrap().drain(..).collect();
        for worker in workers {
            let _ = worker.await;
        }
        if self.memory.is_none() {
            let queues = self.queues.lock().unwrap().clone();
            let operator = operator().await;
            for queue in queues {
                operator.delete_with_letters(&queue).await;
            }
        }
    }
}

/// What happened in tasks, in order, for tests to look at.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(String, tokio::time::Instant)>>>);

impl Log {
    pub fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push((text.into(), tokio::time::Instant::now()));
    }

    pub fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(text, _)| text.clone()).collect()
    }

    pub fn times(&self) -> Vec<tokio::time::Instant> {
        self.0.lock().unwrap().iter().map(|(_, at)| *at).collect()
    }

    pub fn count(&self, text: &str) -> usize {
        self.texts().iter().filter(|there| *there == text).count()
    }
}
