//! Which queues an app declares and its workers consume: those that somebody asked for.

#![allow(clippy::unwrap_used, clippy::panic)]

use taskq_core::{
    App, BoxError, Broker, BrokerExt, Call, InMemoryBroker, KiqError, QueueSpec, Run, Task, TaskConfig, TaskContext,
};

struct Resize;

impl Task for Resize {
    type Args = ();
    type Output = u32;
    type Returns = u32;
    const NAME: &'static str = "images.resize";
    const CONFIG: TaskConfig = TaskConfig::new().queue("images");
}

impl Run for Resize {
    async fn run(ctx: TaskContext, (): ()) -> Result<u32, BoxError> {
        Ok(ctx.attempt())
    }
}

/// A task that names no queue. Its body is elsewhere unless an app registers it.
struct Ping;

impl Task for Ping {
    type Args = ();
    type Output = u32;
    type Returns = u32;
    const NAME: &'static str = "ping";
    const CONFIG: TaskConfig = TaskConfig::new();
}

impl Run for Ping {
    async fn run(ctx: TaskContext, (): ()) -> Result<u32, BoxError> {
        Ok(ctx.attempt())
    }
}

async fn queues(app: App) -> Vec<String> {
    app.startup().await.unwrap();
    let consumed: Vec<_> = app.worker().plan().queues.into_iter().map(|queue| queue.spec.name().to_owned()).collect();
    let declared: Vec<_> = app.queues().iter().map(|spec| spec.name().to_owned()).collect();
    assert_eq!(consumed, declared);
    declared
}

#[tokio::test]
async fn an_app_whose_tasks_all_name_their_queues_leaves_the_default_queue_alone() {
    let broker = InMemoryBroker::new();
    assert_eq!(queues(broker.clone().register::<Resize>()).await, ["images"]);
    assert_eq!(
        queues(broker.clone().register::<Resize>().with_queue(QueueSpec::new("mail"))).await,
        ["mail", "images"]
    );
    assert!(broker.inspect("taskq").await.is_err(), "another app of this server may have it");
}

#[tokio::test]
async fn the_default_queue_is_there_for_a_task_that_names_none_and_for_whoever_names_it() {
    let app = || InMemoryBroker::new().register::<Resize>();
    assert_eq!(queues(app().register::<Ping>()).await, ["images", "taskq"]);
    assert_eq!(queues(app().with_default_queue("background")).await, ["background", "images"]);
    assert_eq!(queues(app().with_queue(QueueSpec::new("taskq"))).await, ["taskq", "images"]);
}

#[tokio::test]
async fn a_sender_that_names_neither_tasks_nor_queues_has_the_default_queue() {
    assert_eq!(queues(InMemoryBroker::new().into_app()).await, ["taskq"]);
    assert_eq!(queues(InMemoryBroker::new().with_queue(QueueSpec::new("mail"))).await, ["mail"]);
}

#[tokio::test]
async fn a_task_that_is_sent_to_a_default_queue_that_nobody_asked_for_finds_no_queue() {
    let app = InMemoryBroker::new().register::<Resize>();
    let error = Call::<Ping>::new(()).kiq().on(&app).await.unwrap_err();
    assert!(matches!(&error, KiqError::UnknownQueue { queue, .. } if queue == "taskq"), "{error}");
}

#[tokio::test]
async fn a_worker_that_names_the_default_queue_has_it() {
    let broker = InMemoryBroker::new().without_worker();
    let app = broker.clone().register::<Resize>();
    let worker = app.worker().queue("taskq");
    let ready = async {
        while broker.inspect("taskq").await.map_or(0, |queue| queue.consumers) == 0 {
            tokio::task::yield_now().await;
        }
    };
    worker.run_until(ready).await.unwrap();
    let error = app.worker().queue("takq").run_until(std::future::pending::<()>()).await.unwrap_err();
    assert!(error.to_string().contains("there is no queue `takq`"), "{error}");
}
