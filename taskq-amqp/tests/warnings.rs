//! What the log says of an outage: once, in words, and never a password.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};
use support::{line, to, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, QueueSpec};
use taskq_faults::{
    log::{LevelFilter, Log},
    proxy::{Door, Who},
    wait::eventually,
};

/// How many lines of taskq's say this.
fn lines(log: &Log, with: &str) -> usize {
    log.text().lines().filter(|line| line.contains("taskq_amqp") && line.contains(with)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_in_words_and_its_end_too() {
    with_queue("outage", async |queue| {
        let log = Log::start(LevelFilter::INFO);
        let line = line();
        let broker = AmqpBroker::new(line.url());
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        let (before, began) = (line.counters().accepted, Instant::now());
        line.door(Door::Drop);
        line.cut(Who::All);
        eventually("there were some attempts", async || line.counters().accepted >= before + 6).await;
        // One more for every ten seconds that it lasts, should this machine be slow.
        let most = 1 + usize::try_from(began.elapsed().as_secs() / 10).unwrap();
        let told = lines(&log, "cannot reach the broker at 127.0.0.1:");
        assert!((1..=most).contains(&told), "{}", log.text());
        assert_eq!(lines(&log, "Unreachable {"), 0, "{}", log.text());
        line.heal();
        broker.publish(to(&queue, 1)).await.unwrap();
        assert_eq!(lines(&log, "connected to the broker again"), 1);

        let refused = AmqpBroker::new(line.url().replace("guest:guest", "guest:wr0ng-secret"));
        assert!(refused.publish(to(&queue, 2).within(Duration::from_secs(5))).await.is_err());
        assert_eq!(lines(&log, "refuses this user"), 1);
        assert_eq!(lines(&log, "Refused {") + lines(&log, "wr0ng-secret"), 0);
    })
    .await;
}
