//! A lull, in which nobody is woken for deliveries, while ends are being stored and for a moment after that: what comes meanwhile
//! is taken together. To be woken for a few at a time costs a worker that has much to do a tenth of its CPU, and more.

use super::{progress::Progress, pulse};
use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Wake, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// After a store that has taken longer there is none: what comes could begin meanwhile.
const LONGEST: Duration = Duration::from_millis(1);

#[derive(Clone)]
pub(super) struct Lull {
    state: Arc<Mutex<State>>,
    /// By which a lull is broken off, after a beat or two, where the store is suddenly slow or the runtime held up.
    progress: Arc<Progress>,
}

#[derive(Default)]
struct State {
    is_on: bool,
    /// What was stored last was not stored soon.
    is_slow: bool,
    held: Vec<Waker>,
}

impl Lull {
    pub(super) fn new() -> Lull {
        let state: Arc<Mutex<State>> = Arc::default();
        let here = state.clone();
        Lull { state, progress: Progress::watched(move || release(&here)) }
    }

    /// Until the guard is dropped.
    pub(super) fn begin(&self) -> Lasting<'_> {
        let mut state = lock(&self.state);
        state.is_on = !state.is_slow && pulse::beats();
        self.progress.has_ready(state.is_on);
        Lasting { lull: self, began: Instant::now() }
    }

    /// For one who takes deliveries.
    pub(super) fn taker(&self) -> Taker {
        let late = Arc::new(Late { state: self.state.clone(), waker: Mutex::default() });
        Taker { waker: Waker::from(late.clone()), late }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn release(state: &Mutex<State>) {
    let mut state = lock(state);
    state.is_on = false;
    let held = mem::take(&mut state.held);
    drop(state);
    held.into_iter().for_each(Waker::wake);
}

pub(super) struct Lasting<'a> {
    lull: &'a Lull,
    began: Instant,
}

impl Lasting<'_> {
    /// Notes that what it was begun for is stored, and tells whether that did not take long.
    pub(super) fn note_stored(&self) -> bool {
        let is_slow = self.began.elapsed() > LONGEST;
        lock(&self.lull.state).is_slow = is_slow;
        !is_slow
    }

    /// Whether something has come for which somebody is not woken yet.
    pub(super) fn holds_any(&self) -> bool {
        !lock(&self.lull.state).held.is_empty()
    }
}

impl Drop for Lasting<'_> {
    fn drop(&mut self) {
        let Lull { state, progress } = self.lull;
        progress.has_ready(false);
        progress.goes_on();
        release(state);
    }
}

/// One who takes deliveries, and is woken after the lull for what comes in it.
pub(super) struct Taker {
    late: Arc<Late>,
    waker: Waker,
}

/// Passes a wake on, at once or after the lull.
struct Late {
    state: Arc<Mutex<State>>,
    waker: Mutex<Option<Waker>>,
}

impl Taker {
    /// To be polled with in place of `cx`, and made anew for each poll: a wake is passed on once.
    pub(super) fn context(&self, cx: &Context<'_>) -> Context<'_> {
        match &mut *lock(&self.late.waker) {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Context::from_waker(&self.waker)
    }
}

impl Wake for Late {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(waker) = lock(&self.waker).take() else { return };
        let mut state = lock(&self.state);
        if state.is_on {
            return state.held.push(waker);
        }
        drop(state);
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One that nothing breaks off.
    fn endless() -> Lull {
        Lull { state: Arc::default(), progress: Progress::watched(|| {}) }
    }

    /// How often it was woken, and what wakes it.
    fn taker_of(lull: &Lull) -> (Arc<Woken>, Waker) {
        let (woken, taker) = (Arc::new(Woken::default()), lull.taker());
        let waker = Waker::from(woken.clone());
        (woken, taker.context(&Context::from_waker(&waker)).waker().clone())
    }

    #[test]
    fn who_is_woken_in_a_lull_is_woken_once_when_it_is_over() {
        let lull = endless();
        let (woken, waker) = taker_of(&lull);
        let lasting = lull.begin();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        drop(lasting);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn out_of_it_one_is_woken_at_once() {
        let lull = endless();
        let (woken, waker) = taker_of(&lull);
        drop(lull.begin());
        waker.wake();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_lull_that_does_not_end_is_broken_off() {
        let lull = Lull::new();
        let (woken, waker) = taker_of(&lull);
        let _lasting = lull.begin();
        waker.wake();
        let began = std::time::Instant::now();
        while woken.0.load(Ordering::SeqCst) == 0 {
            assert!(began.elapsed() < Duration::from_secs(60), "nobody broke it off");
            thread::yield_now();
        }
    }

    #[test]
    fn there_is_none_after_a_store_that_was_long() {
        let lull = endless();
        let lasting = lull.begin();
        thread::sleep(LONGEST * 2);
        assert!(!lasting.note_stored());
        drop(lasting);
        let (woken, waker) = taker_of(&lull);
        let _lasting = lull.begin();
        waker.wake();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_after_a_store_that_was_not_however_long_the_lull_was() {
        let lull = endless();
        let lasting = lull.begin();
        assert!(lasting.note_stored());
        tokio::time::advance(LONGEST * 2).await;
        drop(lasting);
        let (woken, waker) = taker_of(&lull);
        let lasting = lull.begin();
        assert!(!lasting.holds_any());
        waker.wake();
        assert_eq!((woken.0.load(Ordering::SeqCst), lasting.holds_any()), (0, true));
    }
}
