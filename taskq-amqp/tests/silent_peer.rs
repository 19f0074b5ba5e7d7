//! A peer that takes connections and never says a word, for longer than a handshake may take. One test alone, since it counts
//! what the whole process has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::future::select_all;
use std::{fs, num::NonZeroU16, time::Duration};
use support::{number_of, to, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, QueueSpec};
use taskq_faults::{
    proxy::{Door, Who},
    wait::eventually,
};

/// Each of them has a connection for either role, and one to look for strays.
const BROKERS: u64 = 4;

/// Threads of this process, and sockets that are open to this port. The peer lives here too: its own files do not count.
fn held(port: u16) -> (usize, usize) {
    let threads = fs::read_dir("/proc/self/task").unwrap().count();
    let sockets = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let is_held = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Remote address, and inode: nobody holds a socket without one any more.
        words[2].ends_with(&format!(":{port:04X}")) && words[9] != "0"
    };
    (threads, sockets.lines().skip(1).filter(is_held).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_peer_says_nothing_threads_and_sockets_do_not_grow_and_then_work_goes_on() {
    with_queue("silent-peer", async |queue| {
        let line = support::line();
        let brokers: Vec<_> = (0..BROKERS).map(|_| AmqpBroker::new(line.url())).collect();
        brokers[0].declare(&QueueSpec::new(&queue)).await.unwrap();
        let mut consumers = Vec::new();
        for broker in &brokers {
            consumers.push(broker.consume(&QueueSpec::new(&queue), NonZeroU16::MIN).await.unwrap());
            // So that there is a connection to be replaced.
            broker.publish(to(&queue, 0)).await.unwrap();
        }
        for _ in &brokers {
            let (first, _, _) =
                futures_util::future::select_all(consumers.iter_mut().map(|c| Box::pin(c.next()))).await;
            first.expect("a delivery").ack();
        }

        line.door(Door::Silent);
        line.cut(Who::All);
        let tried = async |times: u64| {
            let before = line.counters().accepted;
            eventually("it is tried again", async || line.counters().accepted >= before + times).await;
        };
        // The first attempts of all of them are under way, and then the second and the third.
        tried(BROKERS * 3).await;
        let (threads, sockets) = held(line.address().port());
        tried(BROKERS * 3 * 2).await;
        let (threads_later, sockets_later) = held(line.address().port());
        let told = format!("{threads} threads and {sockets} sockets, then {threads_later} and {sockets_later}");
        // An attempt or two more or less may be under way: what is left of every attempt of one role would be eight.
        assert!(threads_later <= threads + 6, "threads grow while a peer is silent: {told}");
        assert!(sockets_later <= sockets + 6, "sockets grow while a peer is silent: {told}");
        let in_vain = brokers[0].publish(to(&queue, 1).within(Duration::from_secs(1))).await;
        assert!(matches!(in_vain, Err(BrokerError::Unreachable { .. })), "{in_vain:?}");

        line.heal();
        line.cut(Who::All);
        brokers[1].publish(to(&queue, 2)).await.expect("publishing goes on by itself");
        // What was acknowledged as the line was cut may come again.
        eventually("consuming goes on by itself", async || {
            let (next, _, _) = select_all(consumers.iter_mut().map(|consumer| Box::pin(consumer.next()))).await;
            let delivery = next.expect("a delivery");
            let number = number_of(&delivery);
            delivery.ack();
            number == 2
        })
        .await;
    })
    .await;
}
