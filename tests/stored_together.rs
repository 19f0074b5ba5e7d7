//! A result store that takes many records at once: what becomes of the runs whose ends it is given.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::HashMap,
    num::NonZeroU16,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use support::Log;
use taskq::{
    BoxFuture, Broker, BrokerError, Capabilities, Consumer, Delivery, DeliverySource, InMemoryResults, Publish,
    QueueInfo, ResultBackend, ResultError, ResultRecord, Settle, Settlement, TaskId, Unsettled, prelude::*,
};
use taskq_faults::wait::eventually;
use tokio::sync::{Notify, Semaphore, oneshot};

#[task]
async fn double(log: State<Log>, n: i64) -> i64 {
    log.note("ran");
    n * 2
}

/// Lets all that wait for it end at once, in one test.
static GATE: Semaphore = Semaphore::const_new(0);

#[task]
async fn double_behind_gate(log: State<Log>, n: i64) -> i64 {
    log.note("waits");
    GATE.acquire().await.unwrap().forget();
    n * 2
}

/// What it does with the records that it is given together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    /// It is away, for so many calls.
    Away(usize),
    /// It answers to one less than it was asked, the first time.
    Forgetful,
    /// It panics, the first time.
    Broken,
    /// It waits to be woken, the first time.
    Asleep,
}

/// Results in memory that are given together to be stored.
struct Together {
    results: InMemoryResults,
    mood: Mood,
    calls: Arc<AtomicUsize>,
    is_asleep: Arc<AtomicBool>,
    woken: Arc<Notify>,
}

impl Together {
    fn new(mood: Mood) -> Together {
        let (calls, is_asleep, woken) = Default::default();
        Together { results: InMemoryResults::new(), mood, calls, is_asleep, woken }
    }
}

fn away(id: &TaskId) -> ResultError {
    ResultError::Store { address: "memory".into(), source: format!("away when {id} came").into() }
}

impl ResultBackend for Together {
    fn store<'a>(
        &'a self,
        id: &'a TaskId,
        record: &'a ResultRecord,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        self.results.store(id, record, ttl)
    }

    fn stores_together(&self) -> bool {
        true
    }

    fn store_many<'a>(
        &'a self,
        records: &'a [(TaskId, ResultRecord, Duration)],
    ) -> BoxFuture<'a, Vec<Result<Option<ResultRecord>, ResultError>>> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match self.mood {
                Mood::Away(calls) if call < calls => {
                    return records.iter().map(|(id, ..)| Err(away(id))).collect();
                }
                Mood::Forgetful if call == 0 => return Vec::new(),
                Mood::Broken if call == 0 => panic!("a bug of its own"),
                Mood::Asleep if call == 0 => {
                    self.is_asleep.store(true, Ordering::SeqCst);
                    self.woken.notified().await;
                }
                _ => {}
            }
            let mut answers = Vec::new();
            for (id, record, ttl) in records {
                answers.push(self.results.store(id, record, *ttl).await);
            }
            answers
        })
    }

    fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        self.results.fetch(id)
    }

    fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> {
        self.results.wait(id, round)
    }
}

fn app(results: Arc<Together>, log: &Log) -> App {
    InMemoryBroker::new().without_worker().with_result_backend(results).with_state(log.clone())
}

async fn all_are_done(handles: &[TaskHandle<i64>]) {
    for (n, handle) in handles.iter().enumerate() {
        assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 2 * n as i64);
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_many_has_its_own_result_runs_once_and_leaves_nothing_in_the_queue() {
    let (results, log) = (Arc::new(Together::new(Mood::Well)), Log::default());
    let app = app(results.clone(), &log);
    let handles = app.kiq_many((0..1_000).map(double)).await.unwrap();
    app.worker().run_until(all_are_done(&handles)).await.unwrap();
    let calls = results.calls.load(Ordering::SeqCst);
    assert!((1..=100).contains(&calls), "1,000 records were stored by {calls} calls");
    assert_eq!(log.count("ran"), 1_000);
    assert_eq!(app.broker().inspect("taskq").await.unwrap().ready, 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_is_acknowledged_and_nothing_runs_again() {
    let (results, log) = (Arc::new(Together::new(Mood::Away(3))), Log::default());
    let app = app(results, &log);
    let handles = app.kiq_many((0..20).map(double)).await.unwrap();
    app.worker().concurrency(2).run_until(all_are_done(&handles)).await.unwrap();
    assert_eq!(log.count("ran"), 20);
    assert_eq!(app.broker().inspect("taskq").await.unwrap().ready, 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_without_an_answer_is_stored_again() {
    let (results, log) = (Arc::new(Together::new(Mood::Forgetful)), Log::default());
    let app = app(results, &log);
    let handles = app.kiq_many((0..20).map(double)).await.unwrap();
    app.worker().run_until(all_are_done(&handles)).await.unwrap();
    assert_eq!(log.count("ran"), 20);
    assert_eq!(app.broker().inspect("taskq").await.unwrap().ready, 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_once_costs_no_run_and_no_record() {
    let (results, log) = (Arc::new(Together::new(Mood::Broken)), Log::default());
    let app = app(results, &log);
    let handles = app.kiq_many((0..20).map(double)).await.unwrap();
    app.worker().concurrency(2).run_until(all_are_done(&handles)).await.unwrap();
    assert_eq!(log.count("ran"), 20);
    assert_eq!(app.broker().inspect("taskq").await.unwrap().ready, 0);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_here_already_counts() {
    let (results, log) = (Arc::new(Together::new(Mood::Well)), Log::default());
    let app = app(results.clone(), &log);
    let handle = double.kiq(21).on(&app).await.unwrap();
    let earlier = ResultRecord::new(taskq::End::Cancelled, "double");
    results.store(handle.id(), &earlier, Duration::from_secs(60)).await.unwrap();
    let acknowledged = eventually("it is acknowledged", async || {
        log.count("ran") == 1 && app.broker().inspect("taskq").await.unwrap().ready == 0
    });
    app.worker().run_until(acknowledged).await.unwrap();
    assert_eq!(results.fetch(handle.id()).await.unwrap(), Some(earlier));
    assert_eq!(app.broker().inspect("taskq").await.unwrap().ready, 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_told_to_stop_waits_for_the_records_that_are_on_their_way() {
    let (results, log) = (Arc::new(Together::new(Mood::Asleep)), Log::default());
    let app = app(results.clone(), &log);
    let handle = double.kiq(21).on(&app).await.unwrap();
    let (asleep, woken) = (results.is_asleep.clone(), results.woken.clone());
    let stop = async move {
        eventually("the record is on its way", async || asleep.load(Ordering::SeqCst)).await;
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            woken.notify_one();
        });
    };
    app.worker().shutdown_timeout("20s").run_until(stop).await.unwrap();
    assert!(results.fetch(handle.id()).await.unwrap().is_some(), "the worker did not wait for it");
    assert_eq!(app.broker().inspect("taskq").await.unwrap().ready, 0);
}

/// Until it is so, while the time stands still, which it does where there is something to do.
async fn soon(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

/// By how many calls the results are stored of some that come one after the other, right after so many that ended together, which
/// it takes so long to store if the store falls asleep.
async fn calls_after(together: i64, mood: Mood, takes: Duration) -> usize {
    let (results, log) = (Arc::new(Together::new(mood)), Log::default());
    let app = Gathering::new(Bugs::default()).with_result_backend(results.clone()).with_state(log.clone());
    let calls = || results.calls.load(Ordering::SeqCst);
    let story = async {
        let mut handles = app.kiq_many((0..together).map(double_behind_gate)).await.unwrap();
        soon(|| log.count("waits") == together as usize).await;
        GATE.add_permits(together as usize);
        soon(|| calls() == 1).await;
        let first = together + i64::from(mood == Mood::Asleep);
        if mood == Mood::Asleep {
            // It comes while the others are being stored.
            handles.push(double.kiq(together).on(&app).await.unwrap());
            tokio::time::sleep(takes).await;
            results.woken.notify_one();
        }
        all_are_done(&handles[..together as usize]).await;
        for n in first..first + 3 {
            handles.push(double.kiq(n).on(&app).await.unwrap());
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        all_are_done(&handles).await;
        calls() - 1
    };
    let (counted, counting) = oneshot::channel();
    app.worker().run_until(async { counted.send(story.await).unwrap() }).await.unwrap();
    assert_eq!(app.broker().inspect("taskq").await.unwrap().ready, 0);
    counting.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_a_steady_flow_is_stored_together_and_all_else_at_once() {
    let (at_once, late) = (Duration::ZERO, Duration::from_millis(5));
    assert_eq!(calls_after(10, Mood::Asleep, at_once).await, 1, "something came meanwhile");
    assert_eq!(calls_after(10, Mood::Well, at_once).await, 3, "nothing did");
    assert_eq!(calls_after(3, Mood::Asleep, at_once).await, 4, "these were few");
    assert_eq!(calls_after(100, Mood::Asleep, at_once).await, 4, "these were a backlog");
    assert_eq!(calls_after(10, Mood::Asleep, late).await, 4, "the store was slow");
}

/// In real time, on one thread: all of them end before the first is stored.
#[tokio::test]
async fn what_comes_while_a_store_hangs_begins() {
    let (results, log) = (Arc::new(Together::new(Mood::Asleep)), Log::default());
    let app = Gathering::new(Bugs::default()).with_result_backend(results.clone()).with_state(log.clone());
    let mut handles = app.kiq_many((0..20).map(double)).await.unwrap();
    let story = async {
        eventually("the records are on their way", async || results.is_asleep.load(Ordering::SeqCst)).await;
        handles.push(double.kiq(20).on(&app).await.unwrap());
        eventually("the next one has run", async || log.count("ran") == 21).await;
        results.woken.notify_one();
        all_are_done(&handles).await;
    };
    app.worker().run_until(story).await.unwrap();
    assert_eq!(app.broker().inspect("taskq").await.unwrap().ready, 0);
}

/// The broker in memory, which hears of what is settled when it is flushed.
#[derive(Debug, Clone)]
struct Gathering {
    broker: InMemoryBroker,
    bugs: Bugs,
}

/// How often it panics when it is told something.
#[derive(Debug, Clone, Copy, Default)]
struct Bugs {
    settling: usize,
    flushing: usize,
}

impl Gathering {
    fn new(bugs: Bugs) -> Gathering {
        Gathering { broker: InMemoryBroker::new(), bugs }
    }
}

struct GatheringSource {
    consumer: Consumer,
    gathered: Arc<Gathered>,
    next: u64,
}

struct Gathered {
    bugs: Mutex<Bugs>,
    held: Mutex<HashMap<u64, Unsettled>>,
    untold: Mutex<Vec<(Unsettled, Settlement)>>,
}

impl Broker for Gathering {
    fn capabilities(&self) -> Capabilities {
        self.broker.capabilities()
    }

    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.broker.declare(queue)
    }

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.broker.publish(message)
    }

    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        Box::pin(async move {
            let consumer = self.broker.consume(queue, prefetch).await?;
            let gathered = Gathered { bugs: Mutex::new(self.bugs), held: Mutex::default(), untold: Mutex::default() };
            Ok(Consumer::new(GatheringSource { consumer, gathered: Arc::new(gathered), next: 0 }))
        })
    }

    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        self.broker.inspect(queue)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.broker.close()
    }
}

impl DeliverySource for GatheringSource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let Some(delivery) = ready!(self.consumer.poll_next(cx)) else { return Poll::Ready(None) };
        self.next += 1;
        self.gathered.held.lock().unwrap().insert(self.next, delivery.unsettled);
        Poll::Ready(Some(Delivery::new(delivery.content, delivery.redelivered, self.next, self.gathered.clone())))
    }

    fn buffers(&self) -> bool {
        true
    }

    fn stop(&mut self) {
        self.consumer.stop();
    }
}

fn panic_if(left: &mut usize) {
    if *left > 0 {
        *left -= 1;
        panic!("a bug of the broker");
    }
}

impl Settle for Gathered {
    fn settle(&self, tag: u64, settlement: Settlement) {
        panic_if(&mut self.bugs.lock().unwrap_or_else(PoisonError::into_inner).settling);
        let unsettled = self.held.lock().unwrap().remove(&tag);
        self.untold.lock().unwrap().extend(unsettled.map(|unsettled| (unsettled, settlement)));
    }

    fn flush(&self) {
        panic_if(&mut self.bugs.lock().unwrap_or_else(PoisonError::into_inner).flushing);
        let untold = std::mem::take(&mut *self.untold.lock().unwrap());
        for (unsettled, settlement) in untold {
            match settlement {
                Settlement::Ack => unsettled.ack(),
                Settlement::Requeue => unsettled.requeue(),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_holds_acks_back_is_told_that_no_more_follow() {
    let (results, log) = (Arc::new(Together::new(Mood::Well)), Log::default());
    let broker = Gathering::new(Bugs::default());
    let app = broker.clone().with_result_backend(results).with_state(log.clone());
    let handles = app.kiq_many((0..100).map(double)).await.unwrap();
    app.worker().run_until(all_are_done(&handles)).await.unwrap();
    let queue = broker.inspect("taskq").await.unwrap();
    assert_eq!((queue.ready, log.count("ran")), (0, 100), "what was not told went back");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_panics_when_it_is_told_what_is_settled_costs_no_result_and_no_other_settlement() {
    let (results, log) = (Arc::new(Together::new(Mood::Well)), Log::default());
    let broker = Gathering::new(Bugs { settling: 2, flushing: 1 });
    let app = broker.clone().with_result_backend(results).with_state(log.clone());
    let handles = app.kiq_many((0..100).map(double)).await.unwrap();
    // At least five groups, and room for what is held back by the first of them.
    app.worker().concurrency(20).run_until(all_are_done(&handles)).await.unwrap();
    let queue = broker.inspect("taskq").await.unwrap();
    assert_eq!((queue.ready, log.count("ran")), (2, 100), "but the two which it was told when it panicked");
}
