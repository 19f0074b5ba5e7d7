//! The kinds of faults, and how each is made and healed.

use super::{crew::Order, lines::LineFault, nemesis::World, servers::Brokers};
use crate::ledger::Event;
use fastrand::Rng;
use std::{fmt, time::Duration};
use taskq_faults::{Result, rabbit::Alarm};
use tokio::time::sleep;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    WorkerKilled,
    WorkerFrozen,
    WorkerFrozenLong,
    WorkerRestarted,
    PublisherKilled,
    PublisherFrozen,
    BrokerKilled,
    BrokerRestarted,
    BrokerFrozen,
    BrokerAlarm,
    ConnectionsClosed,
    StoreKilled,
    StoreFrozen,
    StoreDisconnects,
    /// A worker that cannot store what it has done is killed.
    StoreFrozenWorkerKilled,
    LeaderKilled,
    NodeFrozen,
    TwoNodesKilled,
    /// Of a worker or a publisher.
    Line(LineFault),
}

/// What a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Process(String),
    Node(usize),
    Store,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Process(name) => f.write_str(name),
            Target::Node(node) => write!(f, "node {node}"),
            Target::Store => f.write_str("the store"),
        }
    }
}

use Fault::*;

impl Fault {
    pub(crate) fn all(cluster: bool) -> Vec<Fault> {
        let everywhere = [
            WorkerKilled,
            WorkerKilled,
            WorkerFrozen,
            WorkerFrozenLong,
            WorkerRestarted,
            PublisherKilled,
            PublisherFrozen,
            BrokerFrozen,
            BrokerAlarm,
            ConnectionsClosed,
            StoreKilled,
            StoreFrozen,
            StoreDisconnects,
            StoreFrozenWorkerKilled,
            Line(LineFault::Reset),
            Line(LineFault::CutInsideAFrame),
            Line(LineFault::StalledShort),
            Line(LineFault::StalledLong),
            Line(LineFault::StalledOneWay),
            Line(LineFault::Slow),
            Line(LineFault::ConfirmsLost),
            Line(LineFault::AcksLost),
            Line(LineFault::AcksHeld),
            Line(LineFault::StoreReset),
            Line(LineFault::StoreStalled),
            Line(LineFault::StoreReplyLost),
        ];
        let alone = [BrokerKilled, BrokerRestarted];
        let together = [LeaderKilled, NodeFrozen, TwoNodesKilled];
        let others: &[Fault] = if cluster { &together } else { &alone };
        everywhere
            .into_iter()
            .filter(|fault| !cluster || *fault != BrokerFrozen)
            .chain(others.iter().copied())
            .collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            WorkerKilled => "worker killed",
            WorkerFrozen => "worker frozen 5 s",
            WorkerFrozenLong => "worker frozen 30 s",
            WorkerRestarted => "worker restarted",
            PublisherKilled => "publisher killed",
            PublisherFrozen => "publisher frozen",
            BrokerKilled => "broker killed",
            BrokerRestarted => "broker restarted",
            BrokerFrozen => "broker frozen",
            BrokerAlarm => "broker alarm",
            ConnectionsClosed => "connections closed",
            StoreKilled => "store killed",
            StoreFrozen => "store frozen",
            StoreDisconnects => "store disconnects",
            StoreFrozenWorkerKilled => "store frozen, worker killed",
            LeaderKilled => "leader killed",
            NodeFrozen => "node frozen",
            TwoNodesKilled => "two nodes killed",
            Line(fault) => fault.name(),
        }
    }

    /// What no other fault may spoil meanwhile.
    pub(crate) fn needs(self) -> &'static [&'static str] {
        match self {
            // Processes may be hit while others are: two faults of one kind are held apart, no more.
            WorkerKilled => &["kill"],
            WorkerFrozen | WorkerFrozenLong | WorkerRestarted => &["signals"],
            PublisherKilled | PublisherFrozen => &["publishers"],
            BrokerKilled | BrokerRestarted | BrokerFrozen | BrokerAlarm | ConnectionsClosed | LeaderKilled
            | NodeFrozen | TwoNodesKilled => &["brokers"],
            StoreKilled | StoreFrozen | StoreDisconnects => &["store"],
            StoreFrozenWorkerKilled => &["store", "kill"],
            Line(LineFault::StoreReset | LineFault::StoreStalled | LineFault::StoreReplyLost) => {
                &["lines to the store"]
            }
            Line(_) => &["lines to brokers"],
        }
    }

    pub(crate) fn target(self, rng: &mut Rng, world: &World) -> Target {
        match self {
            PublisherKilled | PublisherFrozen | Line(LineFault::ConfirmsLost) => {
                Target::Process(format!("publisher-{}", rng.u8(0..2)))
            }
            Line(LineFault::Reset | LineFault::CutInsideAFrame | LineFault::StalledShort) if rng.u8(0..3) == 0 => {
                Target::Process(format!("publisher-{}", rng.u8(0..2)))
            }
            WorkerKilled | WorkerFrozen | WorkerFrozenLong | WorkerRestarted | StoreFrozenWorkerKilled | Line(_) => {
                Target::Process(format!("worker-{}", rng.u8(0..3)))
            }
            StoreKilled | StoreFrozen | StoreDisconnects => Target::Store,
            BrokerKilled | BrokerRestarted | BrokerFrozen | BrokerAlarm | ConnectionsClosed | LeaderKilled
            | NodeFrozen | TwoNodesKilled => Target::Node(rng.usize(0..world.servers.broker_urls.len())),
        }
    }
}

/// Makes a fault and heals it.
pub(crate) async fn make(world: &World, fault: Fault, target: &Target, rng: &mut Rng) -> Result<()> {
    let secs = |rng: &mut Rng, range: std::ops::Range<u64>| Duration::from_millis(rng.u64(range));
    match (fault, target) {
        (WorkerKilled | PublisherKilled, Target::Process(name)) => world.crew.order(name, Order::Kill),
        (WorkerRestarted, Target::Process(name)) => world.crew.order(name, Order::Terminate),
        (WorkerFrozen | PublisherFrozen, Target::Process(name)) => freeze(world, name, Duration::from_secs(5)).await,
        (WorkerFrozenLong, Target::Process(name)) => freeze(world, name, Duration::from_secs(30)).await,
        (Line(fault), Target::Process(name)) => {
            if let Some(lines) = world.lines.get(name) {
                lines.spoil(fault, rng).await;
            }
        }
        (StoreFrozenWorkerKilled, Target::Process(name)) => {
            let redis = world.servers.redis.lock().await;
            redis.freeze()?;
            sleep(Duration::from_millis(1_500)).await;
            world.crew.order(name, Order::Kill);
            sleep(Duration::from_millis(500)).await;
            redis.thaw()?;
        }
        (StoreKilled, _) => {
            let mut redis = world.servers.redis.lock().await;
            redis.kill();
            sleep(secs(rng, 500..6_000)).await;
            redis.run().await?;
        }
        (StoreFrozen, _) => {
            let redis = world.servers.redis.lock().await;
            redis.freeze()?;
            sleep(secs(rng, 4_000..10_000)).await;
            redis.thaw()?;
        }
        (StoreDisconnects, _) => drop(world.servers.redis.lock().await.drop_clients().await?),
        (_, Target::Node(node)) => broker(world, fault, *node, secs(rng, 500..8_000)).await?,
        (_, Target::Process(_) | Target::Store) => {}
    }
    Ok(())
}

async fn freeze(world: &World, name: &str, time: Duration) {
    world.crew.order(name, Order::Freeze);
    sleep(time).await;
    world.crew.order(name, Order::Thaw);
}

async fn broker(world: &World, fault: Fault, node: usize, time: Duration) -> Result<()> {
    let mut brokers = world.servers.brokers.lock().await;
    match fault {
        BrokerKilled => {
            kill(world, &mut brokers, node);
            sleep(time / 2).await;
        }
        BrokerRestarted => brokers.node_mut(node).stop().await?,
        BrokerFrozen => {
            brokers.node_mut(node).freeze()?;
            sleep(time).await;
        }
        BrokerAlarm => {
            brokers.node_mut(node).set_alarm(Alarm::Memory, true).await?;
            sleep(time / 2).await;
            return brokers.node_mut(node).set_alarm(Alarm::Memory, false).await;
        }
        ConnectionsClosed => {
            let close = "rabbit_networking:close_all_connections(<<\"chaos\">>)";
            return brokers.node_mut(node).eval(close).await.map(drop);
        }
        LeaderKilled => {
            let leader = match &mut *brokers {
                Brokers::Cluster(cluster) => cluster.leader_of(crate::plan::Queue::Quorum.name()).await?,
                Brokers::Single(_) => 0,
            };
            kill(world, &mut brokers, leader);
            sleep(time).await;
        }
        NodeFrozen => {
            brokers.node_mut(node).freeze()?;
            sleep(time + Duration::from_secs(4)).await;
        }
        TwoNodesKilled => {
            kill(world, &mut brokers, node);
            kill(world, &mut brokers, (node + 1) % 3);
            sleep(time / 2).await;
        }
        _ => {}
    }
    brokers.heal().await
}

fn kill(world: &World, brokers: &mut Brokers, node: usize) {
    world.ledger.note(Event::NodeKilled { node });
    brokers.node_mut(node).kill();
}
