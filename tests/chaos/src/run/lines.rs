//! The lines from each process to each server: a proxy on every one, so that a fault hits one process alone.

use super::servers::Servers;
use fastrand::Rng;
use std::time::Duration;
use taskq_faults::{
    Proxy, Result,
    proxy::{Line, Rule, Way, Who},
};
use tokio::time::sleep;

/// What becomes of the lines of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineFault {
    Reset,
    CutInsideAFrame,
    StalledShort,
    StalledLong,
    StalledOneWay,
    Slow,
    ConfirmsLost,
    AcksLost,
    AcksHeld,
    StoreReset,
    StoreStalled,
    StoreReplyLost,
}

impl LineFault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            LineFault::Reset => "line reset",
            LineFault::CutInsideAFrame => "line cut inside a frame",
            LineFault::StalledShort => "line stalled 5 s",
            LineFault::StalledLong => "line stalled 25 s",
            LineFault::StalledOneWay => "line stalled one way",
            LineFault::Slow => "line slow",
            LineFault::ConfirmsLost => "confirms lost",
            LineFault::AcksLost => "acks lost",
            LineFault::AcksHeld => "acks held",
            LineFault::StoreReset => "line to the store reset",
            LineFault::StoreStalled => "line to the store stalled",
            LineFault::StoreReplyLost => "reply of the store lost",
        }
    }
}

/// One process's lines.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    brokers: Vec<Proxy>,
    store: Proxy,
}

impl Lines {
    pub(crate) fn to(servers: &Servers) -> Result<Lines> {
        let brokers: Result<Vec<Proxy>> = servers.broker_urls.iter().map(|url| Proxy::amqp(url)).collect();
        Ok(Lines { brokers: brokers?, store: Proxy::redis(&servers.redis_url)? })
    }

    pub(crate) fn broker_urls(&self) -> String {
        self.brokers.iter().map(Proxy::url).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn store_url(&self) -> String {
        self.store.url()
    }

    /// Everything passes.
    pub(crate) fn heal(&self) {
        self.brokers.iter().chain([&self.store]).for_each(Proxy::heal);
    }

    /// Spoils them and heals them.
    pub(crate) async fn spoil(&self, fault: LineFault, rng: &mut Rng) {
        match fault {
            LineFault::Reset => self.each(|broker| {
                broker.reset(Who::All);
            }),
            LineFault::CutInsideAFrame => {
                let (way, bytes) = (if rng.bool() { Way::ToServer } else { Way::ToClient }, rng.u64(1..4_000));
                self.each(|broker| {
                    broker.cut_after(Who::All, way, bytes);
                });
            }
            LineFault::StalledShort => self.hold(Line::Stall, Duration::from_secs(5)).await,
            LineFault::StalledLong => self.hold(Line::Stall, Duration::from_secs(25)).await,
            LineFault::StalledOneWay => {
                let way = if rng.bool() { Way::ToServer } else { Way::ToClient };
                self.each(|broker| broker.line(Who::All, way, Line::Stall));
                sleep(Duration::from_secs(rng.u64(3..20))).await;
                self.each(Proxy::heal);
            }
            LineFault::Slow => self.hold(Line::Delay(Duration::from_millis(300)), Duration::from_secs(5)).await,
            LineFault::ConfirmsLost => self.lose(Rule::lost_confirms, Who::Publishers).await,
            LineFault::AcksLost => self.lose(Rule::lost_acks, Who::Consumers).await,
            LineFault::AcksHeld => {
                let rules: Vec<_> = self.brokers.iter().map(|broker| broker.add(Rule::held_acks())).collect();
                sleep(Duration::from_secs(5)).await;
                rules.iter().for_each(|rule| rule.end());
            }
            LineFault::StoreReset => {
                self.store.reset(Who::All);
            }
            LineFault::StoreStalled => {
                self.store.lines(Who::All, Line::Stall);
                sleep(Duration::from_millis(rng.u64(2_000..9_000))).await;
                self.store.heal();
            }
            LineFault::StoreReplyLost => {
                let lost = self.store.lose_reply("SET");
                sleep(Duration::from_secs(2)).await;
                drop(lost);
            }
        }
    }

    fn each(&self, spoil: impl Fn(&Proxy)) {
        self.brokers.iter().for_each(spoil);
    }

    async fn hold(&self, line: Line, time: Duration) {
        self.each(|broker| broker.lines(Who::All, line));
        sleep(time).await;
        self.each(Proxy::heal);
    }

    /// What is lost is missed when the line ends.
    async fn lose(&self, rule: fn() -> Rule, who: Who) {
        let rules: Vec<_> = self.brokers.iter().map(|broker| broker.add(rule().times(20))).collect();
        sleep(Duration::from_millis(500)).await;
        self.each(|broker| {
            broker.reset(who.clone());
        });
        rules.iter().for_each(|rule| rule.end());
    }
}
