//! What the log says of an outage: once, in words, and never a password.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::{
    eventually,
    relay::{Mode, Relay},
    to, with_queue,
};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, QueueSpec};

/// The log of this process; the connections run on threads that a test's own subscriber would not hear.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> Log {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
            .with_writer(move || writer.clone())
            .init();
        log
    }

    fn lines(&self, with: &str) -> usize {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        text.lines().filter(|line| line.contains("taskq_amqp") && line.contains(with)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_in_words_and_its_end_too() {
    with_queue("outage", async |queue| {
        let log = Log::start();
        let relay = Relay::start().await;
        let broker = AmqpBroker::new(relay.url());
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        let (before, began) = (relay.accepted(), Instant::now());
        relay.set(Mode::Drop);
        relay.cut();
        eventually("there were some attempts", async || (relay.accepted() >= before + 6).then_some(())).await;
        // One more for every ten seconds that it lasts, should this machine be slow.
        let most = 1 + usize::try_from(began.elapsed().as_secs() / 10).unwrap();
        let told = log.lines("cannot reach the broker at 127.0.0.1:");
        assert!((1..=most).contains(&told), "{}", String::from_utf8_lossy(&log.0.lock().unwrap()));
        assert_eq!(log.lines("Unreachable {"), 0, "{}", String::from_utf8_lossy(&log.0.lock().unwrap()));
        relay.set(Mode::Open);
        broker.publish(to(&queue, 1)).await.unwrap();
        assert_eq!(log.lines("connected to the broker again"), 1);

        let refused = AmqpBroker::new(relay.url().replace("guest:guest", "guest:wr0ng-secret"));
        assert!(refused.publish(to(&queue, 2).within(Duration::from_secs(5))).await.is_err());
        assert_eq!(log.lines("refuses this user"), 1);
        assert_eq!(log.lines("Refused {") + log.lines("wr0ng-secret"), 0);
    })
    .await;
}
