//! What had come by a line that is cut before it began, and comes again by another one.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    num::NonZeroU16,
    sync::{Arc, Mutex},
};
use support::Log;
use taskq::{
    BoxFuture, Broker, BrokerError, Capabilities, Consumer, Content, Delivery, Event, InMemoryResults, Line, Message,
    Observer, Publish, QueueInfo, QueueSpec, Settle, Settlement, prelude::*,
};
use tokio::sync::{Notify, mpsc};

/// Gives its worker what the test delivers.
struct ByHand {
    sent: mpsc::UnboundedSender<Arc<Message>>,
    deliveries: Mutex<Option<mpsc::Receiver<Delivery>>>,
}

impl Broker for ByHand {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn declare<'a>(&'a self, _: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }

    fn publish(&self, publish: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        let Content::Task(message) = publish.content else { panic!("a message of a task") };
        self.sent.send(message).unwrap();
        Box::pin(async { Ok(()) })
    }

    fn consume<'a>(&'a self, _: &'a QueueSpec, _: NonZeroU16) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        let deliveries = self.deliveries.lock().unwrap().take().expect("one consumer");
        Box::pin(async { Ok(Consumer::from_channel(deliveries, || {})) })
    }

    fn inspect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        unimplemented!("nobody looks")
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Notes what is acknowledged by one line.
struct Acks(&'static str, Log);

impl Settle for Acks {
    fn settle(&self, tag: u64, settlement: Settlement) {
        if settlement == Settlement::Ack {
            self.1.note(format!("ack of {tag} by {}", self.0));
        }
    }
}

/// Wakes a task when it is told what became of a first delivery.
struct Wakes(Arc<Notify>);

impl Observer for Wakes {
    fn on(&self, event: &Event<'_>) {
        if let Event::Settled { .. } = event {
            self.0.notify_waiters();
        }
    }
}

#[task]
async fn turn(log: State<Log>, open: State<Arc<Notify>>, n: u64) {
    log.note(format!("{n}"));
    if n == 0 {
        open.notified().await;
    }
}

struct Scene {
    app: App,
    deliver: mpsc::Sender<Delivery>,
    log: Log,
    open: Arc<Notify>,
    settled: Arc<Notify>,
    messages: Vec<Arc<Message>>,
    handles: Vec<TaskHandle<()>>,
}

impl Scene {
    /// Three tasks are to run one after the other; the first one waits until it is let go on.
    async fn new() -> Scene {
        let ((sent, mut messages), (deliver, deliveries)) = (mpsc::unbounded_channel(), mpsc::channel(10));
        let (log, open, settled) = (Log::default(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let app = ByHand { sent, deliveries: Mutex::new(Some(deliveries)) }
            .with_result_backend(InMemoryResults::new())
            .with_state(log.clone())
            .with_state(open.clone())
            .with_observer(Wakes(settled.clone()));
        let mut handles = Vec::new();
        for n in 0..3 {
            handles.push(turn.kiq(n).on(&app).await.unwrap());
        }
        let messages = std::iter::from_fn(|| messages.try_recv().ok()).collect();
        Scene { app, deliver, log, open, settled, messages, handles }
    }

    /// Delivers those from `first` on.
    async fn deliver(&self, name: &'static str, line: &Line, first: u64, redelivered: bool) {
        let acks = Arc::new(Acks(name, self.log.clone()));
        for (tag, message) in (0..).zip(&self.messages).filter(|(tag, _)| *tag >= first) {
            let delivery = Delivery::new(Content::Task(message.clone()), redelivered, tag, acks.clone());
            self.deliver.send(delivery.with_line(line.clone())).await.unwrap();
        }
    }

    async fn first_one_runs(&self) {
        while self.log.count("0") == 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn all_are_done(&self) {
        for handle in &self.handles {
            handle.wait_result().await.unwrap().into_value().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_on_a_line_that_is_cut_does_not_begin_by_that() {
    let scene = Scene::new().await;
    let (first, second) = (Line::new(), Line::new());
    let story = async {
        scene.deliver("the first", &first, 0, false).await;
        scene.first_one_runs().await;
        first.cut();
        scene.deliver("the second", &second, 1, true).await;
        scene.open.notify_one();
        scene.all_are_done().await;
    };
    scene.app.worker().concurrency(1).run_until(story).await.unwrap();
    let texts = scene.log.texts();
    assert_eq!(texts.iter().filter(|text| text.len() == 1).collect::<Vec<_>>(), ["0", "1", "2"]);
    for tag in 1..3 {
        let acks = |line| scene.log.count(&format!("ack of {tag} by the {line}"));
        assert_eq!((acks("first"), acks("second")), (0, 1), "{texts:?}");
    }
}

/// The broker gives all of it again, in its order.
#[tokio::test(start_paused = true)]
async fn none_overtakes_one_that_was_about_to_begin_when_its_line_was_cut() {
    let scene = Scene::new().await;
    let (first, second) = (Line::new(), Line::new());
    let story = async {
        scene.deliver("the first", &first, 0, false).await;
        scene.first_one_runs().await;
        let (settled, line) = (scene.settled.clone(), first.clone());
        // Between the one that gives the second one its turn, and that one.
        let cut = tokio::spawn(async move {
            settled.notified().await;
            line.cut();
        });
        tokio::task::yield_now().await;
        scene.open.notify_one();
        cut.await.unwrap();
        scene.deliver("the second", &second, 1, true).await;
        scene.all_are_done().await;
    };
    scene.app.worker().concurrency(1).run_until(story).await.unwrap();
    let texts = scene.log.texts();
    assert_eq!(texts.iter().filter(|text| text.len() == 1).collect::<Vec<_>>(), ["0", "1", "2"], "{texts:?}");
}
