//! What only the in-memory broker promises: running by itself, capacity, strict order, many tests at once.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use taskq::{Broker, KiqError, TaskStatus, prelude::*};
use tokio::time::Instant;

#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Parcel {
    to: String,
    #[serde(skip)]
    cached: u32,
}

#[task]
async fn unpack(parcel: Parcel) -> (String, u32) {
    (parcel.to, parcel.cached)
}

#[derive(Default)]
struct Overlap {
    inside: AtomicUsize,
    most: AtomicUsize,
    order: std::sync::Mutex<Vec<u32>>,
}

#[task]
async fn alone(overlap: State<Arc<Overlap>>, number: u32) -> Result<u32, String> {
    overlap.most.fetch_max(overlap.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    overlap.order.lock().unwrap().push(number);
    tokio::time::sleep(Duration::from_millis(5)).await;
    overlap.inside.fetch_sub(1, Ordering::SeqCst);
    match number % 10 {
        3 => Err("three".into()),
        7 => panic!("seven"),
        _ => Ok(number),
    }
}

#[task]
async fn parent(children: u32) -> usize {
    let mut sent = 0;
    for _ in 0..children {
        add.kiq(1, 1).await.unwrap();
        sent += 1;
    }
    sent
}

#[task]
async fn wait_at(gate: State<Arc<tokio::sync::Semaphore>>) {
    gate.acquire().await.unwrap().forget();
}

#[task(retry = 9, backoff = "exp(1m, x2, max = 10m)")]
async fn stubborn(ctx: TaskContext) -> Result<u32, String> {
    if ctx.attempt() < 10 { Err("not yet".into()) } else { Ok(ctx.attempt()) }
}

fn app(broker: &InMemoryBroker) -> App {
    broker.clone().with_state(Arc::<Overlap>::default()).with_state(Arc::new(tokio::sync::Semaphore::new(0)))
}

#[tokio::test]
async fn adds() -> taskq::Result<()> {
    InMemoryBroker::new()
        .into_app()
        .scope(async {
            assert_eq!(add.kiq(1, 2).await?.wait_result().await?.into_value()?, 3);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn arguments_travel_as_bytes_so_a_skipped_field_arrives_as_its_default() {
    let app = app(&InMemoryBroker::new());
    let parcel = Parcel { to: "you".into(), cached: 7 };
    let handle = unpack.kiq(parcel).on(&app).await.unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), ("you".into(), 0));
}

#[tokio::test(start_paused = true)]
async fn concurrency_one_never_overlaps_keeps_order_and_survives_failures_and_panics() {
    let app = app(&InMemoryBroker::new().concurrency(1));
    let handles = app.kiq_many((0..200).map(alone)).await.unwrap();
    for (number, handle) in handles.iter().enumerate() {
        let result = handle.wait_result().await.unwrap();
        assert_eq!(result.is_err(), matches!(number % 10, 3 | 7), "{number}");
    }
    let overlap = taskq::TaskContext::detached(&app).state::<Arc<Overlap>>().unwrap();
    assert_eq!(overlap.most.load(Ordering::SeqCst), 1);
    assert_eq!(*overlap.order.lock().unwrap(), (0..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn queues_of_concurrency_one_run_beside_each_other() {
    let broker = InMemoryBroker::new().queue_concurrency("a", 1).queue_concurrency("b", 1).queue_concurrency("c", 1);
    let app =
        app(&broker).with_queue(QueueSpec::new("a")).with_queue(QueueSpec::new("b")).with_queue(QueueSpec::new("c"));
    let began = Instant::now();
    let queues = ["a", "b", "c"];
    app.kiq_many((0..30).map(|n| alone(n * 10).kiq().queue(queues[n as usize % 3]))).await.unwrap();
    broker.wait_idle().await;
    assert!(began.elapsed() < Duration::from_millis(120), "virtual time: {:?}", began.elapsed());
    let overlap = taskq::TaskContext::detached(&app).state::<Arc<Overlap>>().unwrap();
    assert_eq!(overlap.most.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn with_capacity_two_the_third_kiq_waits_and_then_says_that_the_queue_is_full() {
    let broker = InMemoryBroker::new().capacity(2).without_worker();
    let app = app(&broker);
    add.kiq(1, 1).on(&app).await.unwrap();
    add.kiq(1, 1).on(&app).await.unwrap();
    let began = Instant::now();
    let error = add.kiq(1, 1).on(&app).within("3s").await.unwrap_err();
    assert!(matches!(error, KiqError::QueueFull { .. }), "{error}");
    assert!((3.0..3.5).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    assert_eq!(broker.inspect("taskq").await.unwrap().ready, 2);

    let third = tokio::spawn(add.kiq(2, 2).on(&app));
    tokio::task::yield_now().await;
    assert!(!third.is_finished());
    let worker = tokio::spawn(app.worker().run_until(std::future::pending::<()>()));
    let handle = third.await.unwrap().unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 4);
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn room_that_comes_free_is_found_by_whom_it_is_for() {
    let broker = InMemoryBroker::new().capacity(1);
    let app = app(&broker);
    wait_at.kiq().on(&app).await.unwrap();
    add.kiq(1, 1).delay("1h").on(&app).await.unwrap();
    // First in line, and with no room before the hour is over.
    let delayed = tokio::spawn(add.kiq(1, 1).delay("1h").within("2h").on(&app));
    tokio::task::yield_now().await;
    let prompt = tokio::spawn(add.kiq(2, 2).on(&app));
    tokio::task::yield_now().await;
    taskq::TaskContext::detached(&app).state::<Arc<tokio::sync::Semaphore>>().unwrap().add_permits(1);
    prompt.await.unwrap().unwrap();
    assert!(!delayed.is_finished());
    tokio::time::sleep(Duration::from_secs(3700)).await;
    assert!(delayed.is_finished(), "the first delayed one has made room");
}

#[tokio::test(start_paused = true)]
async fn with_its_own_worker_running_tasks_count_too() {
    let broker = InMemoryBroker::new().capacity(2);
    let app = app(&broker);
    wait_at.kiq().on(&app).await.unwrap();
    wait_at.kiq().on(&app).await.unwrap();
    let third = tokio::spawn(wait_at.kiq().on(&app));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!third.is_finished());
    taskq::TaskContext::detached(&app).state::<Arc<tokio::sync::Semaphore>>().unwrap().add_permits(3);
    third.await.unwrap().unwrap();
    broker.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_submits_children_while_the_queue_is_full_does_not_wait_for_itself() {
    let broker = InMemoryBroker::new().capacity(2).concurrency(1);
    let app = app(&broker);
    let began = Instant::now();
    let handle = parent.kiq(10).on(&app).await.unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 10);
    broker.wait_idle().await;
    assert!(began.elapsed() < Duration::from_secs(1), "virtual time: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn retries_and_delayed_tasks_re_enter_a_full_queue() {
    let broker = InMemoryBroker::new().capacity(2).concurrency(2);
    let app = app(&broker);
    let retried = stubborn.kiq().on(&app).await.unwrap();
    let delayed = add.kiq(1, 1).delay("30s").on(&app).await.unwrap();
    for _ in 0..2 {
        wait_at.kiq().on(&app).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(delayed.status().await.unwrap(), TaskStatus::Pending);
    let info = broker.inspect("taskq").await.unwrap();
    assert_eq!((info.ready, info.unsettled), (2, Some(2)), "both came back although the queue was full");
    taskq::TaskContext::detached(&app).state::<Arc<tokio::sync::Semaphore>>().unwrap().add_permits(2);
    assert!(delayed.wait_result().await.unwrap().is_ok());
    assert_eq!(retried.wait_result().await.unwrap().into_value().unwrap(), 10);
}

#[tokio::test(start_paused = true)]
async fn wait_idle_resolves_after_the_last_task_and_at_once_without_any() {
    let broker = InMemoryBroker::new();
    broker.wait_idle().await;
    let app = app(&broker);
    let handles = app.kiq_many((0..50).map(|n| alone(n * 10))).await.unwrap();
    broker.wait_idle().await;
    for handle in handles {
        assert_eq!(handle.status().await.unwrap(), TaskStatus::Done);
    }
}

#[tokio::test(start_paused = true)]
async fn priorities_hold_while_a_task_is_running() {
    let broker = InMemoryBroker::new().concurrency(1);
    let app = app(&broker).with_queue(QueueSpec::new("mail").priorities(9));
    wait_at.kiq().queue("mail").on(&app).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    for priority in [1, 9, 5] {
        alone.kiq(u32::from(priority) * 10).queue("mail").priority(priority).on(&app).await.unwrap();
    }
    taskq::TaskContext::detached(&app).state::<Arc<tokio::sync::Semaphore>>().unwrap().add_permits(1);
    broker.wait_idle().await;
    let overlap = taskq::TaskContext::detached(&app).state::<Arc<Overlap>>().unwrap();
    assert_eq!(*overlap.order.lock().unwrap(), [90, 50, 10]);
}

#[tokio::test]
async fn starting_twice_does_not_consume_twice() {
    let broker = InMemoryBroker::new();
    let app = app(&broker);
    app.startup().await.unwrap();
    app.startup().await.unwrap();
    add.kiq(1, 2).on(&app).await.unwrap().wait_result().await.unwrap();
    assert_eq!(broker.inspect("taskq").await.unwrap().consumers, 1);
}

static STATIC_APP: LazyLock<App> = LazyLock::new(|| app(&InMemoryBroker::new()));

/// Eight tests, each on a runtime of its own that ends with it, share one app.
#[test]
fn a_static_app_serves_many_tests_at_once_each_on_its_own_runtime() {
    let tests: Vec<_> = (0..8)
        .map(|test| {
            std::thread::spawn(move || {
                for round in 0..10 {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(STATIC_APP.scope(async move {
                        let handles = STATIC_APP.kiq_many((0..20).map(|n| add(test * 1000 + round, n))).await.unwrap();
                        for (n, handle) in handles.iter().enumerate() {
                            let sum = handle.wait_result().timeout("60s").await.unwrap().into_value().unwrap();
                            assert_eq!(sum, test * 1000 + round + n as i64);
                        }
                        // Left behind when the runtime goes.
                        add.kiq(0, 0).await.unwrap();
                    }));
                }
            })
        })
        .collect();
    for test in tests {
        test.join().unwrap();
    }
}

#[tokio::test]
async fn a_closed_app_refuses_and_does_not_hang() {
    let app = app(&InMemoryBroker::new());
    app.startup().await.unwrap();
    app.shutdown().await.unwrap();
    let error = add.kiq(1, 2).on(&app).await.unwrap_err();
    assert!(error.to_string().contains("not sent"), "{error}");
}
