//! Wakes runs that wait: each at its time, and all of them when something has happened that may concern any.
//!
//! There may be tens of thousands of them, and a timer and two watches of its own for each would take more room than the run.

use crate::{clock::bounded, delivery::Watcher};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Waker,
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub(super) struct Alarms {
    clock: Arc<Clock>,
    _ringing: AbortOnDropHandle<()>,
}

struct Clock {
    began: Instant,
    state: Mutex<State>,
    /// One was set that rings before all others.
    sooner: Notify,
}

struct State {
    set: BTreeMap<Turn, Waker>,
    next_number: u64,
    /// When the clock looks next.
    looks: Option<Millis>,
}

/// Since the clock began.
type Millis = u64;

/// When an alarm rings, and which of those that ring then it is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(NonZeroU64);

impl Turn {
    /// So many can ring at once.
    const NUMBERS: u64 = 1 << 24;
    /// After 34 years. Whoever is woken too soon by that sets it again.
    const LATEST: Millis = (1 << 40) - 1;

    fn new(at: Millis, number: u64) -> Self {
        let place = at.saturating_mul(Turn::NUMBERS).saturating_add(number % Turn::NUMBERS);
        Turn(NonZeroU64::MIN.saturating_add(place))
    }

    /// Behind all at that time.
    fn after(at: Millis) -> Self {
        Turn::new(at.saturating_add(1), 0)
    }

    fn at(self) -> Millis {
        (self.0.get() - 1) / Turn::NUMBERS
    }
}

impl Alarms {
    /// All of them ring too when `interrupt` is cancelled. To be made within a runtime.
    pub(super) fn new(interrupt: CancellationToken) -> Self {
        let state = State { set: BTreeMap::new(), next_number: 0, looks: None };
        let clock = Arc::new(Clock { began: Instant::now(), state: Mutex::new(state), sooner: Notify::new() });
        let ringing = tokio::spawn(clock.clone().go(interrupt));
        Alarms { clock, _ringing: AbortOnDropHandle::new(ringing) }
    }

    /// Has all of them ring when a line is cut.
    pub(super) fn watcher(&self) -> Weak<dyn Watcher> {
        let watcher: Arc<dyn Watcher> = self.clock.clone();
        Arc::downgrade(&watcher)
    }
}

impl Clock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn go(self: Arc<Self>, interrupt: CancellationToken) {
        let mut interrupted = std::pin::pin!(interrupt.cancelled());
        let mut is_interrupted = false;
        loop {
            let next = self.ring();
            tokio::select! {
                () = &mut interrupted, if !is_interrupted => {
                    is_interrupted = true;
                    self.ring_all();
                }
                () = self.sooner.notified() => {}
                () = sleep_until(next.unwrap_or(self.began)), if next.is_some() => {}
            }
        }
    }

    /// Rings all that are due, and tells when the next one is.
    fn ring(&self) -> Option<Instant> {
        let now = Millis::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX);
        let mut state = self.state();
        let later = state.set.split_off(&Turn::after(now));
        let due = std::mem::replace(&mut state.set, later);
        state.looks = state.set.keys().next().map(|turn| turn.at());
        let next = state.looks;
        drop(state);
        due.into_values().for_each(Waker::wake);
        next.map(|at| self.began + bounded(Duration::from_millis(at)))
    }

    /// They stay set: whoever has one looks what has happened.
    fn ring_all(&self) {
        let wakers: Vec<Waker> = self.state().set.values().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Never too soon.
    fn millis(&self, at: Instant) -> Millis {
        let since = at.saturating_duration_since(self.began).as_nanos().div_ceil(1_000_000);
        Millis::try_from(since).unwrap_or(Millis::MAX).min(Turn::LATEST)
    }
}

impl Watcher for Clock {
    fn line_is_cut(&self) {
        self.ring_all();
    }
}

/// One run's alarm. Whoever has it ends it.
#[derive(Default)]
pub(super) struct Alarm(Option<Turn>);

impl Alarm {
    /// Wakes `waker` at that time, and whenever all are woken, instead of what was set before.
    pub(super) fn set(&mut self, alarms: &Alarms, at: Instant, waker: &Waker) {
        let clock = &alarms.clock;
        let at = clock.millis(at);
        let mut state = clock.state();
        if let Some(turn) = self.0
            && turn.at() == at
            && let Some(set) = state.set.get_mut(&turn)
        {
            return set.clone_from(waker);
        }
        let replaced = self.0.and_then(|turn| state.set.remove(&turn));
        self.0 = Some(state.insert(at, waker.clone()));
        let is_first = state.looks.is_none_or(|looks| at < looks);
        if is_first {
            state.looks = Some(at);
        }
        drop(state);
        drop(replaced);
        if is_first {
            clock.sooner.notify_one();
        }
    }

    pub(super) fn end(&mut self, alarms: &Alarms) {
        let removed = self.0.take().and_then(|turn| alarms.clock.state().set.remove(&turn));
        drop(removed);
    }
}

impl State {
    fn insert(&mut self, at: Millis, waker: Waker) -> Turn {
        loop {
            let turn = Turn::new(at, self.next_number);
            self.next_number = self.next_number.wrapping_add(1);
            // One that was set long ago for the same time may have that number.
            if let Entry::Vacant(free) = self.set.entry(turn) {
                free.insert(waker);
                return turn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::poll_fn,
        task::Poll::{Pending, Ready},
    };
    use tokio::{task::JoinHandle, time::sleep};

    const AT: Duration = Duration::from_millis(10);

    /// A task that waits to be woken, and gives how long that took.
    fn woken(alarms: &Arc<Alarms>, after: Duration) -> JoinHandle<Duration> {
        let alarms = alarms.clone();
        tokio::spawn(async move {
            let (began, mut alarm, mut is_set) = (Instant::now(), Alarm::default(), false);
            poll_fn(|cx| {
                if std::mem::replace(&mut is_set, true) {
                    return Ready(());
                }
                alarm.set(&alarms, began + after, cx.waker());
                Pending
            })
            .await;
            alarm.end(&alarms);
            began.elapsed()
        })
    }

    fn set(alarms: &Alarms) -> usize {
        alarms.clock.state().set.len()
    }

    #[tokio::test(start_paused = true)]
    async fn each_rings_at_its_time_and_not_before() {
        let alarms = Arc::new(Alarms::new(CancellationToken::new()));
        let later = Duration::from_micros(20_300);
        let (last, first, second) = (woken(&alarms, later), woken(&alarms, AT), woken(&alarms, AT));
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (AT, AT));
        assert_eq!(set(&alarms), 1);
        assert_eq!(last.await.unwrap(), Duration::from_millis(21));
        assert_eq!(set(&alarms), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_set_while_the_clock_waits_for_a_later_one_rings_in_time() {
        let alarms = Arc::new(Alarms::new(CancellationToken::new()));
        let later = woken(&alarms, AT * 1000);
        sleep(AT).await;
        assert_eq!(woken(&alarms, AT).await.unwrap(), AT);
        assert_eq!(later.await.unwrap(), AT * 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_set_again_rings_at_the_new_time_only() {
        let alarms = Alarms::new(CancellationToken::new());
        let (began, mut alarm, mut polls) = (Instant::now(), Alarm::default(), 0);
        poll_fn(|cx| {
            polls += 1;
            alarm.set(&alarms, began + AT * 3, cx.waker());
            if polls == 1 {
                alarm.set(&alarms, began + AT, cx.waker());
                alarm.set(&alarms, began + AT * 2, cx.waker());
            }
            if polls == 2 { Ready(()) } else { Pending }
        })
        .await;
        assert_eq!((began.elapsed(), set(&alarms)), (AT * 2, 1));
        alarm.end(&alarms);
        assert_eq!(set(&alarms), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn all_ring_when_the_worker_must_end_and_when_a_line_is_cut() {
        let (interrupt, hour) = (CancellationToken::new(), Duration::from_secs(3600));
        let alarms = Arc::new(Alarms::new(interrupt.clone()));
        let (one, other) = (woken(&alarms, hour), woken(&alarms, hour * 2));
        sleep(AT).await;
        interrupt.cancel();
        assert_eq!((one.await.unwrap(), other.await.unwrap()), (AT, AT));

        let line = crate::Line::new();
        line.watch(alarms.watcher());
        let (one, other) = (woken(&alarms, hour), woken(&alarms, hour * 2));
        sleep(AT).await;
        line.cut();
        assert_eq!((one.await.unwrap(), other.await.unwrap()), (AT, AT));
    }
}
