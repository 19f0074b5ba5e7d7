//! A consumer of an async function: asked while there is room, not asked twice, and let go of when the consumer stops.

#![allow(clippy::unwrap_used)]

use futures_util::FutureExt;
use std::{
    num::NonZeroU16,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use taskq_core::{Consumer, ContentType, Delivery, Message, Settle, Settlement, TaskId};
use tokio::sync::mpsc;

/// A server that gives a delivery per word of the test's, and writes down what becomes of it.
#[derive(Clone)]
struct Server {
    word: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>>,
    asked: Arc<AtomicU64>,
    settled: Arc<Mutex<Vec<(u64, Settlement)>>>,
}

impl Server {
    fn new() -> (Server, mpsc::UnboundedSender<()>) {
        let (say, word) = mpsc::unbounded_channel();
        let word = Arc::new(tokio::sync::Mutex::new(word));
        (Server { word, asked: Arc::default(), settled: Arc::default() }, say)
    }

    async fn next(self) -> Option<Delivery> {
        let tag = self.asked.fetch_add(1, SeqCst) + 1;
        self.word.lock().await.recv().await?;
        let message = Message::new(TaskId::new(), "a.task", ContentType::Json, "{}".into());
        Some(Delivery::new(message.into(), false, tag, Arc::new(self.clone())))
    }

    fn consume(&self, prefetch: u16) -> Consumer {
        let (taker, stopper) = (self.clone(), self.clone());
        let on_stop = move || stopper.settled.lock().unwrap().push((0, Settlement::Ack));
        Consumer::from_fn(NonZeroU16::new(prefetch).unwrap(), move || taker.clone().next(), on_stop)
    }

    fn settled(&self) -> Vec<(u64, Settlement)> {
        self.settled.lock().unwrap().clone()
    }
}

impl Settle for Server {
    fn settle(&self, tag: u64, settlement: Settlement) {
        self.settled.lock().unwrap().push((tag, settlement));
    }
}

/// What [`Server::consume`] writes down when the consumer stops.
const STOPPED: (u64, Settlement) = (0, Settlement::Ack);

#[tokio::test]
async fn no_more_is_asked_for_than_may_be_unsettled_and_settling_makes_room() {
    let (server, say) = Server::new();
    (0..9).for_each(|_| say.send(()).unwrap());
    let mut consumer = server.consume(2);
    let (first, second) = (consumer.next().await.unwrap(), consumer.next().await.unwrap());
    assert!(consumer.next().now_or_never().is_none());
    assert_eq!(server.asked.load(SeqCst), 2);

    let waiting = tokio::spawn(async move { (consumer.next().await.unwrap(), consumer) });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    first.ack();
    let (third, mut consumer) = waiting.await.unwrap();
    assert!(consumer.next().now_or_never().is_none());
    drop(second);
    consumer.next().await.unwrap().ack();
    third.requeue();
    let wanted = [(1, Settlement::Ack), (2, Settlement::Requeue), (4, Settlement::Ack), (3, Settlement::Requeue)];
    assert_eq!(server.settled(), wanted);
}

#[tokio::test]
async fn what_was_asked_for_is_not_lost_with_a_wait_that_is_given_up() {
    let (server, say) = Server::new();
    let mut consumer = server.consume(5);
    for _ in 0..3 {
        assert!(consumer.next().now_or_never().is_none());
    }
    say.send(()).unwrap();
    consumer.next().await.unwrap().ack();
    assert_eq!((server.asked.load(SeqCst), server.settled()), (1, vec![(1, Settlement::Ack)]));
}

#[tokio::test]
async fn a_stop_lets_go_of_what_was_asked_for_and_is_told_once() {
    let (server, say) = Server::new();
    let mut consumer = server.consume(1);
    assert!(consumer.next().now_or_never().is_none());
    consumer.stop();
    assert!(server.word.try_lock().is_ok(), "the question is still open");
    say.send(()).unwrap();
    assert!(consumer.next().await.is_none());
    drop(consumer);
    assert_eq!((server.asked.load(SeqCst), server.settled()), (1, vec![STOPPED]));
}

#[tokio::test]
async fn a_delivery_outlives_its_consumer() {
    let (server, say) = Server::new();
    say.send(()).unwrap();
    let mut consumer = server.consume(1);
    let delivery = consumer.next().await.unwrap();
    drop(consumer);
    delivery.ack();
    assert_eq!(server.settled(), [STOPPED, (1, Settlement::Ack)]);
}

#[tokio::test]
async fn a_closed_broker_ends_the_consumer() {
    let (server, say) = Server::new();
    drop(say);
    assert!(server.consume(1).next().await.is_none());
}
