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

/// What is told by a line that was cut does not count.
struct Unheard;

impl Settle for Unheard {
    fn settle(&self, _: u64, _: Settlement) {}
}

/// Wakes those who wait until a run is settled.
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
    async fn deliver(&self, line: &Line, first: u64, redelivered: bool) {
        for (tag, message) in (0..).zip(&self.messages).filter(|(tag, _)| *tag >= first) {
            let delivery = Delivery::new(Content::Task(message.clone()), redelivered, tag, Arc::new(Unheard));
            self.deliver.send(delivery.with_line(line.clone())).await.unwrap();
        }
    }

    /// All have come by it, and the first one runs.
    async fn begin_by(&self, line: &Line) {
        self.deliver(line, 0, false).await;
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
async fn what_waits_for_its_turn_when_its_line_is_cut_runs_once_and_in_its_order() {
    let scene = Scene::new().await;
    let (first, second) = (Line::new(), Line::new());
    let story = async {
        scene.begin_by(&first).await;
        first.cut();
        scene.deliver(&second, 1, true).await;
        scene.open.notify_one();
        scene.all_are_done().await;
    };
    scene.app.worker().concurrency(1).run_until(story).await.unwrap();
    assert_eq!(scene.log.texts(), ["0", "1", "2"]);
}

/// The broker gives all of it again, in its order.
#[tokio::test(start_paused = true)]
async fn none_overtakes_one_that_was_about_to_begin_when_its_line_was_cut() {
    let scene = Scene::new().await;
    let (first, second) = (Line::new(), Line::new());
    let story = async {
        scene.begin_by(&first).await;
        let (settled, line, log) = (scene.settled.clone(), first.clone(), scene.log.clone());
        // Between the one that gives the second one its turn, and that one.
        let cut = tokio::spawn(async move {
            settled.notified().await;
            assert_eq!(log.texts(), ["0"]);
            line.cut();
        });
        tokio::task::yield_now().await;
        scene.open.notify_one();
        cut.await.unwrap();
        scene.deliver(&second, 1, true).await;
        scene.all_are_done().await;
    };
    scene.app.worker().concurrency(1).run_until(story).await.unwrap();
    assert_eq!(scene.log.texts(), ["0", "1", "2"]);
}
