//! What a task costs on RabbitMQ, beside the floor: raw lapin doing the same work, in the same run.
//!
//! `cargo bench --bench load [-- TASKS]` needs RabbitMQ and Redis (`TASKQ_TEST_AMQP_URL`, `TASKQ_TEST_REDIS_URL`, or
//! localhost). Numbers of different runs or machines do not compare; the ratios do.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions},
    types::FieldTable,
};
use std::{
    env,
    time::{Duration, Instant},
};
use taskq::{BrokerExt, prelude::*};

const CALLERS: usize = 100;
const PREFETCH: u16 = 200;

#[task(store_result = false)]
async fn forgotten(n: u64) {
    std::hint::black_box(n);
}

#[task]
async fn kept(n: u64) -> u64 {
    n
}

fn variable(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn amqp_url() -> String {
    variable("TASKQ_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
}

/// Raw lapin: one connection, one confirm channel, as many in flight as we have callers.
async fn floor_publish(channel: &Channel, queue: &str, tasks: usize) -> Duration {
    let began = Instant::now();
    let mut in_flight = FuturesUnordered::new();
    let publish = |n: usize| async move {
        let properties = BasicProperties::default().with_delivery_mode(2).with_message_id(format!("{n:032x}").into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        channel
            .basic_publish("".into(), queue.into(), options, b"\x81\xa1n\x01", properties)
            .await
            .unwrap()
            .await
            .unwrap();
    };
    for n in 0..tasks {
        if in_flight.len() >= CALLERS {
            in_flight.next().await;
        }
        in_flight.push(publish(n));
    }
    while in_flight.next().await.is_some() {}
    began.elapsed()
}

/// Raw lapin: one consumer, every delivery acknowledged by itself.
async fn floor_consume(channel: &Channel, queue: &str, tasks: usize) -> Duration {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
    let began = Instant::now();
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = channel.basic_consume(queue.into(), "floor".into(), options, none).await.unwrap();
    for _ in 0..tasks {
        consumer.next().await.unwrap().unwrap().ack(BasicAckOptions::default()).await.unwrap();
    }
    began.elapsed()
}

/// 100 callers, each awaiting its own `kiq` before the next.
async fn publish<T, C>(app: &App, tasks: usize, call: fn(u64) -> C) -> Duration
where
    T: taskq::Task,
    C: taskq::IntoKiq<Task = T> + Send + 'static,
{
    let began = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let app = app.clone();
        callers.spawn(async move {
            for n in 0..tasks / CALLERS {
                call(n as u64).into_kiq().on(&app).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    began.elapsed()
}

/// A worker, from its start to an empty queue.
async fn work(app: &App) -> Duration {
    let began = Instant::now();
    let empty = async {
        // The worker prefetches; what is ready and what is held must both be gone.
        while app.broker().inspect(app.default_queue()).await.unwrap().ready > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    app.worker().concurrency(usize::from(PREFETCH / 2)).run_until(empty).await.unwrap();
    began.elapsed()
}

fn report(what: &str, tasks: usize, took: Duration, floor: Option<Duration>) {
    let rate = tasks as f64 / took.as_secs_f64();
    let ratio = floor.map(|floor| format!("{:5.2} of the floor", floor.as_secs_f64() / took.as_secs_f64()));
    println!("{what:<44} {rate:>9.0} /s   {}", ratio.unwrap_or_default());
}

#[tokio::main]
async fn main() {
    let tasks = env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(20_000);
    let queue = format!("taskq-bench-{}", taskq::TaskId::new());
    let app = AmqpBroker::new(amqp_url()).with_default_queue(&queue);
    let results = RedisResults::new(variable("TASKQ_TEST_REDIS_URL", "redis://127.0.0.1:6379"));
    let app_with_results = AmqpBroker::new(amqp_url()).with_result_backend(results).with_default_queue(&queue);
    app.startup().await.unwrap();
    app_with_results.startup().await.unwrap();

    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let consuming = connection.create_channel().await.unwrap();

    let floor = floor_publish(&channel, &queue, tasks).await;
    report("publish, raw lapin", tasks, floor, None);
    let floor_consumed = floor_consume(&consuming, &queue, tasks).await;
    report("consume and ack, raw lapin", tasks, floor_consumed, None);
    consuming.close(200, "done".into()).await.unwrap();

    report("kiq, 100 callers", tasks, publish(&app, tasks, forgotten).await, Some(floor));
    report("run and ack, no results", tasks, work(&app).await, Some(floor_consumed));
    report("kiq, 100 callers", tasks, publish(&app_with_results, tasks, kept).await, Some(floor));
    report("run, store the result in Redis, ack", tasks, work(&app_with_results).await, Some(floor_consumed));

    for name in [queue.clone(), format!("{queue}.dead")] {
        channel.queue_delete(name.into(), Default::default()).await.unwrap();
    }
}
