//! When faults are made, and of which kind: drawn from the seed, overlapping, each at a time when much is in flight.

use super::{
    crew::Crew,
    faults::{self, Fault},
    lines::Lines,
    progress::Progress,
    servers::Servers,
};
use crate::{
    clock::Instant,
    ledger::{Event, Ledger},
};
use fastrand::Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Mutex, task::JoinSet};

/// A fault that hits nothing shows nothing.
pub(crate) const LEAST_IN_FLIGHT: usize = 50;

/// How many faults there are at one time.
const MOST_AT_ONCE: usize = 3;

const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What faults are made in.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) servers: Arc<Servers>,
    pub(crate) crew: Arc<Crew>,
    pub(crate) progress: Progress,
    pub(crate) ledger: Ledger,
    /// By the place of their process.
    pub(crate) lines: Arc<BTreeMap<String, Lines>>,
}

/// Makes faults for `time`, and returns when the last of them is over. Within a [`tokio::task::LocalSet`].
pub(crate) async fn spoil(world: World, seed: u64, time: Duration, cluster: bool) {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + time;
    let busy: Arc<Mutex<BTreeSet<&'static str>>> = Arc::default();
    let (mut running, mut deck, mut number) = (JoinSet::new(), Vec::new(), 0);
    while Instant::now() < end {
        let pause = Duration::from_millis(rng.u64(2_000..6_000));
        tokio::time::sleep(pause).await;
        while running.len() >= MOST_AT_ONCE {
            running.join_next().await;
        }
        wait_for_work(&world, end).await;
        if Instant::now() >= end {
            break;
        }
        if deck.is_empty() {
            deck = Fault::all(cluster);
            rng.shuffle(&mut deck);
        }
        // What needs something that is spoiled already waits for its turn.
        let mut taken = busy.lock().await;
        let Some(at) = deck.iter().rposition(|fault| fault.needs().iter().all(|need| !taken.contains(need))) else {
            continue;
        };
        let fault = deck.remove(at);
        taken.extend(fault.needs());
        drop(taken);
        number += 1;
        running.spawn_local(make(world.clone(), fault, number, rng.fork(), busy.clone()));
    }
    while running.join_next().await.is_some() {}
}

async fn wait_for_work(world: &World, end: Instant) {
    while world.progress.in_flight() < LEAST_IN_FLIGHT && Instant::now() < end {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn make(world: World, fault: Fault, number: u32, mut rng: Rng, busy: Arc<Mutex<BTreeSet<&'static str>>>) {
    let target = fault.target(&mut rng, &world);
    let in_flight = world.progress.in_flight();
    let kind = fault.name().to_owned();
    eprintln!("fault {number}: {kind} of {target}, {in_flight} tasks in flight");
    world.ledger.note(Event::FaultBegan { fault: number, kind, target: target.to_string(), in_flight });
    let made = faults::make(&world, fault, &target, &mut rng).await;
    if let Err(error) = &made {
        world.ledger.note(Event::FaultFailed { fault: number, error: error.to_string() });
    }
    world.ledger.note(Event::FaultEnded { fault: number });
    let mut busy = busy.lock().await;
    for need in fault.needs() {
        busy.remove(need);
    }
}
