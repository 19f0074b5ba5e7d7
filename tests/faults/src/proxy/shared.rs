//! What the handles and the thread of a proxy share.

use super::{
    LostReply, Way, Who,
    connection::Connection,
    counters::Counting,
    rules::{Action, ActiveRule, Rule, RuleHandle},
    state::State,
    target::Target,
    trap::Trap,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;

/// What a proxy understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Amqp,
    Opaque,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) target: Target,
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    pub(super) state: watch::Sender<State>,
    pub(super) counters: Counting,
    rules: Mutex<Vec<Arc<ActiveRule>>>,
    traps: Mutex<Vec<Arc<Trap>>>,
    connections: Mutex<BTreeMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

impl Shared {
    pub(super) fn new(target: Target, protocol: Protocol, address: SocketAddr) -> Shared {
        Shared {
            target,
            protocol,
            address,
            state: watch::Sender::default(),
            counters: Counting::default(),
            rules: Mutex::default(),
            traps: Mutex::default(),
            connections: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Counts a connection as open for as long as the value lives.
    pub(super) fn enter(self: &Arc<Shared>, connection: &Arc<Connection>) -> Entry {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.connections).insert(number, connection.clone());
        Entry { shared: self.clone(), number }
    }

    /// Does something to these connections; says to how many it was done.
    pub(super) fn each(&self, who: &Who, act: impl Fn(&Connection) -> bool) -> usize {
        let mut connections: Vec<Arc<Connection>> = lock(&self.connections).values().cloned().collect();
        connections.retain(|connection| who.includes(connection.talk().name()));
        connections.iter().filter(|connection| act(connection)).count()
    }

    pub(super) fn add(&self, rule: Rule) -> RuleHandle {
        let rule = Arc::new(ActiveRule::new(rule));
        let mut rules = lock(&self.rules);
        rules.retain(|rule| !rule.has_ended());
        rules.push(rule.clone());
        RuleHandle(rule)
    }

    /// The first rule that has something to say to this method.
    pub(super) fn decide(&self, name: Option<&str>, way: Way, method: (u16, u16)) -> Option<(Action, Arc<ActiveRule>)> {
        let rules = lock(&self.rules);
        rules.iter().find_map(|rule| Some((rule.decide(name, way, method)?, rule.clone())))
    }

    pub(super) fn lose_reply(&self, containing: Vec<u8>) -> LostReply {
        let trap = Arc::new(Trap::new(containing));
        let mut traps = lock(&self.traps);
        traps.retain(|trap| !trap.is_over());
        traps.push(trap.clone());
        LostReply(trap)
    }

    pub(super) fn trap(&self, request: &[u8]) -> Option<Arc<Trap>> {
        lock(&self.traps).iter().find(|trap| trap.takes(request)).cloned()
    }

    pub(super) fn end_rules(&self) {
        let rules = std::mem::take(&mut *lock(&self.rules));
        rules.iter().for_each(|rule| rule.end());
        let traps = std::mem::take(&mut *lock(&self.traps));
        traps.iter().for_each(|trap| trap.disarm());
    }
}

/// An open connection's place in the list.
pub(super) struct Entry {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.shared.connections).remove(&self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
