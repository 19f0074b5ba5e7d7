//! Where the runs of one queue begin.
//!
//! Most runs of short tasks end when they are first polled, and to spawn each of them, on whatever thread, would cost more than
//! they do. So a runner polls one after the other, and spawns what does not end at that.
//!
//! A run may also compute for long. When its runner's turn is over, another one begins what is ready on this thread, and this one
//! goes where any free thread of the runtime finds it. Where a run does not even let its runner come so far, the pulse calls
//! another one. And after a slow run others of its queue are spawned for a while (`trust`): what it held up may also be what runs
//! before it had woken on this thread.

use super::{
    process::{Next, Source},
    progress::Progress,
    pulse,
    slot::Slot,
    standing::Footing,
    trust::Trust,
};
use crate::{delivery::Delivery, panic};
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, task::consume_budget};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// After so long a runner lets others have its thread.
const TURN: Duration = Duration::from_micros(200);

/// For so many that are ready room is kept.
const ROOM: usize = 256;

/// A delivery that may begin, and its room among those that run.
pub(super) struct Ready {
    pub(super) delivery: Delivery,
    pub(super) footing: Footing,
    pub(super) slot: Slot,
}

pub(super) struct Beginnings {
    source: Arc<Source>,
    runs: TaskTracker,
    state: Mutex<State>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<(Ready, TaskTrackerToken)>,
    /// A runner is on its way that has not looked yet.
    is_called: bool,
    /// A runner waits for its next turn where any free thread finds it.
    has_reserve: bool,
    trust: Trust,
}

impl Beginnings {
    /// What has begun, and what is ready to, counts among `runs`.
    pub(super) fn new(source: Arc<Source>, runs: TaskTracker) -> Arc<Self> {
        let runtime = Handle::current();
        Arc::new_cyclic(|beginnings: &Weak<Self>| {
            let beginnings = beginnings.clone();
            // From a thread that is not the runtime's, so that any of its threads takes it.
            let call_help =
                move || beginnings.upgrade().into_iter().for_each(|here| drop(runtime.spawn(here.run_all())));
            let progress = Progress::watched(call_help);
            Beginnings { source, runs, state: Mutex::default(), progress }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins it soon: after others that are ready, once somebody is called, or by itself where that is not trusted.
    pub(super) fn add(&self, ready: Ready) {
        let mut state = self.state();
        if !pulse::beats() || !state.trust.next() {
            drop(state);
            return self.spawn(ready);
        }
        state.ready.push_back((ready, self.runs.token()));
        self.progress.has_ready(true);
    }

    /// Sees to it that somebody looks at what is ready.
    pub(super) fn call(self: &Arc<Self>) {
        let mut state = self.state();
        if !state.ready.is_empty() && !state.has_reserve && !std::mem::replace(&mut state.is_called, true) {
            drop(tokio::spawn(self.clone().run_all()));
        }
    }

    /// Begins a run by itself.
    pub(super) fn spawn(&self, ready: Ready) {
        self.go_on(self.source.receive(ready));
    }

    /// Begins a run here, and leaves what does not end at that to a task of its own.
    ///
    /// (Its first poll has no waker: it is polled again at once there, and is woken from then on.)
    fn begin(&self, ready: Ready) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut next = self.source.receive(ready);
        if let Next::Run(run) = next {
            next = run.begin(&mut cx);
        }
        if let Next::Wait(rest) = &mut next
            && rest.as_mut().poll(&mut cx).is_ready()
        {
            return;
        }
        self.go_on(next);
    }

    fn go_on(&self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Run(run) => drop(self.runs.spawn(run.go_on())),
            Next::Wait(rest) => drop(self.runs.spawn(rest)),
        }
    }

    /// Gives back what has not begun.
    pub(super) fn clear(&self) {
        // Giving back takes locks of the broker.
        let unbegun = std::mem::take(&mut self.state().ready);
        self.progress.has_ready(false);
        drop(unbegun);
    }

    fn next(&self) -> Option<(Ready, TaskTrackerToken)> {
        let mut state = self.state();
        let next = state.ready.pop_front();
        if next.is_none() {
            state.ready.shrink_to(ROOM);
        }
        self.progress.goes_on();
        self.progress.has_ready(!state.ready.is_empty());
        next
    }

    /// Begins one after the other.
    async fn run_all(self: Arc<Self>) {
        self.state().is_called = false;
        let (mut turn, mut before) = (Instant::now(), Instant::now());
        while let Some((ready, counted)) = self.next() {
            // Panics of tasks stay in them. One of ours would end this runner, and leave what is ready behind.
            drop(panic::catch(|| self.begin(ready)));
            drop(counted);
            let now = Instant::now();
            self.state().trust.note(now - before > TURN);
            consume_budget().await;
            before = now;
            if now - turn > TURN {
                self.end_turn().await;
                (turn, before) = (Instant::now(), Instant::now());
            }
        }
    }

    /// Another runner goes on here, and this one where a thread is free.
    async fn end_turn(self: &Arc<Self>) {
        let is_reserve = self.call_another();
        go_to_the_back().await;
        if is_reserve {
            self.state().has_reserve = false;
        }
    }

    /// Calls another runner, unless there is nothing for it, or one is in reserve already. Tells whether it did: then this one is.
    fn call_another(self: &Arc<Self>) -> bool {
        let mut state = self.state();
        let is_needed = !state.ready.is_empty() && !std::mem::replace(&mut state.has_reserve, true);
        if is_needed {
            drop(tokio::spawn(self.clone().run_all()));
        }
        is_needed
    }
}

/// Goes on when it is its turn again, or when a free thread of the runtime takes it. (`yield_now` does not put a task where other
/// threads look.)
async fn go_to_the_back() {
    let mut has_gone = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_gone, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
