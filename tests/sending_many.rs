//! `kiq_many` and what it asks of a broker: few calls, each with many messages in order, and an answer to each.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{Log, Stage};
use taskq::{BoxFuture, Broker, BrokerError, KiqError, Message, Publish, SendNext, TaskStatus, prelude::*};

#[task]
async fn double(log: State<Log>, n: i64) -> i64 {
    log.note(n.to_string());
    n * 2
}

#[task]
async fn weigh(log: State<Log>, n: i64, body: String) -> usize {
    log.note(n.to_string());
    body.len()
}

/// A broker in memory that counts how it is asked to publish.
#[derive(Clone)]
struct Counting {
    broker: InMemoryBroker,
    one: Arc<AtomicUsize>,
    many: Arc<AtomicUsize>,
    /// It says nothing about the last message of each call.
    is_forgetful: Arc<AtomicBool>,
}

impl Counting {
    fn new() -> Counting {
        let (one, many, is_forgetful) = Default::default();
        Counting { broker: InMemoryBroker::new(), one, many, is_forgetful }
    }

    fn app(&self, log: &Log) -> App {
        self.clone().with_state(log.clone())
    }
}

impl Broker for Counting {
    broker_but_publish!(broker);

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.one.fetch_add(1, Ordering::SeqCst);
        self.broker.publish(message)
    }

    fn publish_many(&self, messages: Vec<Publish>) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        self.many.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let mut answers = self.broker.publish_many(messages).await;
            if self.is_forgetful.load(Ordering::SeqCst) {
                answers.pop();
            }
            answers
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_are_few_calls_of_the_broker() {
    let (broker, log) = (Counting::new(), Log::default());
    let app = broker.app(&log);
    app.startup().await.unwrap();
    let handles = app.kiq_many((0..1_000).map(double)).await.unwrap();
    for (n, handle) in (0..).zip(handles) {
        assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), n * 2);
    }
    let (one, many) = (broker.one.load(Ordering::SeqCst), broker.many.load(Ordering::SeqCst));
    assert!(one == 0 && (1..=50).contains(&many), "published by {one} single calls and {many} calls for many");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_broker_says_nothing_about_may_have_been_sent() {
    let (broker, log) = (Counting::new(), Log::default());
    let app = broker.app(&log);
    app.startup().await.unwrap();
    broker.is_forgetful.store(true, Ordering::SeqCst);
    let outcomes = app.kiq_many((0..10).map(double)).await.unwrap_err().into_outcomes();
    assert_eq!(outcomes.len(), 10);
    assert!(outcomes[..9].iter().all(Result::is_ok));
    assert!(matches!(&outcomes[9], Err(KiqError::Unknown { .. })), "{:?}", outcomes[9]);
}

#[tokio::test(start_paused = true)]
async fn send_middleware_sees_each_of_many() {
    fn refuse_odd<'a>(message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
        match message.labels.contains_key("odd") {
            false => next.run(message),
            true => Box::pin(async move { Err(KiqError::refused(message.task, "it is odd")) }),
        }
    }
    let log = Log::default();
    let app = InMemoryBroker::new().with_send_middleware(refuse_odd).with_state(log.clone());
    let call = |n: i64| if n % 2 == 1 { double(n).kiq().label("odd", "1") } else { double(n).kiq() };
    let outcomes = app.kiq_many((0..10).map(call)).await.unwrap_err().into_outcomes();
    for (n, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok(handle) => assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), n * 2),
            Err(error) => assert!(n % 2 == 1 && error.to_string().contains("it is odd"), "{n}: {error}"),
        }
    }
    assert_eq!(log.texts().len(), 5);
}

/// Two callers at once, one worker that runs one at a time: what each has sent comes in its order.
async fn many_come_in_the_order_of_their_calls(stage: Stage) {
    let log = Log::default();
    let app = stage.idle_app().with_state(log.clone());
    app.startup().await.unwrap();
    let (low, high) = tokio::join!(app.kiq_many((0..500).map(double)), app.kiq_many((500..1_000).map(double)));
    let handles: Vec<_> = low.unwrap().into_iter().chain(high.unwrap()).collect();
    let all = async {
        for handle in &handles {
            handle.wait_result().await.unwrap();
        }
    };
    app.worker().concurrency(1).run_until(all).await.unwrap();
    let ran: Vec<i64> = log.texts().iter().map(|n| n.parse().unwrap()).collect();
    let (low, high): (Vec<i64>, Vec<i64>) = ran.into_iter().partition(|n| *n < 500);
    assert_eq!(low, Vec::from_iter(0..500));
    assert_eq!(high, Vec::from_iter(500..1_000));
}

/// More bytes than may wait for their confirmation at once.
async fn the_order_is_kept_where_there_is_no_room_for_all(stage: Stage) {
    const BYTES: usize = 900 * 1024;
    let log = Log::default();
    let app = stage.idle_app().with_state(log.clone());
    app.startup().await.unwrap();
    let body = "x".repeat(BYTES);
    let handles = app.kiq_many((0..90).map(|n| weigh(n, body.clone()))).await.unwrap();
    let all = async {
        for handle in &handles {
            assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), BYTES);
        }
    };
    app.worker().concurrency(1).run_until(all).await.unwrap();
    let ran: Vec<i64> = log.texts().iter().map(|n| n.parse().unwrap()).collect();
    assert_eq!(ran, Vec::from_iter(0..90));
}

/// The first call starts the app; those after it go together.
async fn each_keeps_its_own_options(stage: Stage) {
    let log = Log::default();
    let app = stage.idle_app().with_state(log.clone()).with_tracking();
    let call = |n: i64| match n % 4 {
        0 => double(n).kiq().delay("200ms"),
        1 => double(n).kiq().within(Duration::MAX),
        2 => double(n).kiq().queue("no such.#"),
        _ => double(n).kiq(),
    };
    for _ in 0..2 {
        let outcomes = app.kiq_many((0..20).map(call)).await.unwrap_err().into_outcomes();
        assert_eq!(outcomes.len(), 20);
        let all = async {
            for (n, outcome) in (0..).zip(&outcomes) {
                match outcome {
                    Ok(handle) => assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), n * 2),
                    Err(error) => assert!(n % 4 == 2 && matches!(error, KiqError::Invalid { .. }), "{n}: {error}"),
                }
            }
        };
        for handle in outcomes.iter().flatten() {
            assert_eq!(handle.status().await.unwrap(), TaskStatus::Queued);
        }
        app.worker().run_until(all).await.unwrap();
    }
}

on_both!(
    many_come_in_the_order_of_their_calls,
    the_order_is_kept_where_there_is_no_room_for_all,
    each_keeps_its_own_options,
);
