//! Wrong set-up is found at start, before anything is consumed.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    num::NonZeroU16,
    sync::{Arc, Mutex},
    time::Duration,
};
use taskq::{
    BoxFuture, Broker, BrokerError, Capabilities, Consumer, KiqError, Publish, QueueInfo, ResultBackend, ResultError,
    ResultRecord, TaskId, WorkerError, prelude::*,
};

struct Pool;

#[task]
async fn query(pool: State<Pool>) -> u8 {
    let _ = pool;
    1
}

#[task(retry = 1)]
async fn retried() {}

/// A broker that can do nothing but carry messages.
struct Plain(InMemoryBroker);

impl Broker for Plain {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }
    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.0.declare(queue)
    }
    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.0.publish(message)
    }
    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        self.0.consume(queue, prefetch)
    }
    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        self.0.inspect(queue)
    }
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.0.close()
    }
}

/// A broker that notes what a worker asks of it.
struct Noting(InMemoryBroker, Arc<Mutex<Vec<&'static str>>>);

impl Noting {
    fn note(&self, text: &'static str) {
        self.1.lock().unwrap().push(text);
    }
}

impl Broker for Noting {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.0.declare(queue)
    }
    fn prepare_delays(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.note("prepare delays");
        self.0.prepare_delays()
    }
    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.0.publish(message)
    }
    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        self.note("consume");
        self.0.consume(queue, prefetch)
    }
    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        self.0.inspect(queue)
    }
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.0.close()
    }
}

#[tokio::test]
async fn a_worker_whose_tasks_are_retried_makes_delays_ready_before_it_consumes() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let app = Noting(InMemoryBroker::new(), notes.clone()).with_state(Pool);
    app.startup().await.unwrap();
    assert!(notes.lock().unwrap().is_empty(), "who only sends pays for delays when it delays");
    app.worker().run_until(async {}).await.unwrap();
    assert_eq!(*notes.lock().unwrap(), ["prepare delays", "consume"]);
}

#[tokio::test]
async fn a_worker_without_a_state_that_its_tasks_take_does_not_start() {
    let app = InMemoryBroker::new().without_worker().into_app();
    let error = app.worker().run_until(std::future::pending::<()>()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, WorkerError::MissingState { .. }), "{text}");
    assert!(
        text.contains("setup::query") && text.contains("setup.rs:") && text.contains("State<setup::Pool>"),
        "{text}"
    );
    assert!(text.contains(".with_state("), "{text}");
}

#[tokio::test]
async fn an_app_that_runs_its_tasks_itself_refuses_only_the_task_that_lacks_its_state() {
    let app = InMemoryBroker::new().into_app();
    app.startup().await.unwrap();
    let error = query.kiq().on(&app).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, KiqError::Unsupported { .. }), "{text}");
    for part in ["setup::query", "State<setup::Pool>", ".with_state("] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(retried.kiq().on(&app).await.unwrap().wait_result().await.unwrap().is_ok());
}

#[tokio::test]
async fn an_app_that_leaves_its_tasks_to_others_needs_no_state_of_theirs() {
    let app = InMemoryBroker::new().without_worker().into_app();
    query.kiq().on(&app).await.unwrap();
}

#[tokio::test]
async fn a_task_that_asks_for_what_the_broker_lacks_is_an_error_at_start() {
    let error = Plain(InMemoryBroker::new()).into_app().startup().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, WorkerError::Unsupported { .. }), "{text}");
    assert!(text.contains("setup::retried") && text.contains("delays"), "{text}");
}

/// A broker, or a result store, that does not answer.
struct Silent(InMemoryBroker);

impl Broker for Silent {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn declare<'a>(&'a self, _: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(std::future::pending())
    }
    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.0.publish(message)
    }
    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        self.0.consume(queue, prefetch)
    }
    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        self.0.inspect(queue)
    }
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.0.close()
    }
}

impl ResultBackend for Silent {
    fn startup(&self) -> BoxFuture<'_, Result<(), ResultError>> {
        Box::pin(std::future::pending())
    }
    fn store<'a>(
        &'a self,
        _: &'a TaskId,
        _: &'a ResultRecord,
        _: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(std::future::pending())
    }
    fn fetch<'a>(&'a self, _: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(std::future::pending())
    }
    fn wait<'a>(&'a self, _: &'a TaskId, _: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_kiq_whose_app_did_not_start_in_time_says_what_does_not_answer() {
    let broker = Silent(InMemoryBroker::new()).into_app();
    let results = InMemoryBroker::new().with_result_backend(Silent(InMemoryBroker::new()));
    for (app, culprit, other) in
        [(broker, "its broker", "its result store"), (results, "its result store", "its broker")]
    {
        let error = taskq::Error::from(retried.kiq().within("1s").on(&app).await.unwrap_err());
        let text = format!("{error:?}");
        assert!(text.contains("within 1s") && text.contains(culprit) && !text.contains(other), "{text}");
    }
}

#[tokio::test]
async fn queues_that_cannot_be_are_refused_at_start() {
    for name in ["a..b", "amq.x", "x.dead", ""] {
        let error = InMemoryBroker::new().with_queue(QueueSpec::new(name)).startup().await.unwrap_err();
        assert!(matches!(error, WorkerError::Invalid { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_queue_that_exists_in_another_form_is_a_mismatch_that_names_the_argument() {
    let broker = InMemoryBroker::new();
    broker.clone().with_queue(QueueSpec::new("mail").priorities(5)).startup().await.unwrap();
    let error = broker.with_queue(QueueSpec::new("mail").priorities(9)).startup().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, WorkerError::Broker(BrokerError::Mismatch { .. })), "{text}");
    assert!(text.contains("`mail`") && text.contains('5') && text.contains('9'), "{text}");
}

#[tokio::test]
async fn an_option_of_the_app_that_is_no_duration_is_an_error_at_start() {
    let apps = [|app: App| app.with_result_ttl("1 fortnight"), |app: App| app.with_publish_timeout("a while")];
    for (with, text) in apps.into_iter().zip(["result_ttl: `1 fortnight`", "publish_timeout: `a while`"]) {
        let error = with(InMemoryBroker::new().into_app()).startup().await.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_worker_option_that_is_no_duration_is_an_error() {
    let app = InMemoryBroker::new().with_state(Pool);
    let error = app.worker().shutdown_timeout("a while").run_until(async {}).await.unwrap_err();
    assert!(error.to_string().contains("a while"), "{error}");
}

#[tokio::test]
async fn the_start_table_names_tasks_queues_and_limits() {
    let app = InMemoryBroker::new().without_worker().with_state(Pool).with_queue(QueueSpec::new("mail"));
    app.startup().await.unwrap();
    let worker = app.worker().concurrency(8).queue("taskq").queue_with("mail", 2);
    assert!(worker.plan().to_string().contains("25m"), "the limit of a task that sets none");
    let table = worker.task_timeout("90s").plan().to_string();
    for part in ["1m 30s", "taskq 0.1.0", "setup::query", "setup::retried", "mail", "concurrency", "prefetch", "16"] {
        assert!(table.contains(part), "{part:?} is not in\n{table}");
    }
}
