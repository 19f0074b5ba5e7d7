//! What watches over a run that goes on for longer than it is trusted to be the only one of its task, and over one that waits
//! for its turn.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};
use support::Log;
use taskq::{
    Bid, BoxFuture, ClaimAnswer, FailureKind, InMemoryResults, Mark, ResultBackend, ResultError, TaskId, UnixMillis,
    prelude::*,
};
use taskq_faults::wait::PATIENCE;
use tokio::sync::oneshot;

/// Whether a run was marked.
#[derive(Clone, Default)]
struct Marked(Arc<AtomicBool>);

/// Takes marks.
struct Marking {
    results: InMemoryResults,
    marked: Marked,
}

impl ResultBackend for Marking {
    results_but_claims!(results);

    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        self.results.claim(bid)
    }

    fn mark<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Mark>, ResultError>> {
        Box::pin(async move {
            // As a store does that another task speaks to.
            let (tell, hears) = oneshot::channel();
            tokio::spawn(async move { tell.send(()) });
            hears.await.unwrap();
            self.marked.0.store(true, Ordering::SeqCst);
            self.results.mark(id).await
        })
    }
}

/// Panics where it is to take a mark.
struct Broken(InMemoryResults);

impl ResultBackend for Broken {
    results_but_claims!(0);

    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        self.0.claim(bid)
    }

    fn mark<'a>(&'a self, _: &'a TaskId) -> BoxFuture<'a, Result<Option<Mark>, ResultError>> {
        panic!("no marks today")
    }
}

#[task]
async fn until_marked(marked: State<Marked>) -> bool {
    let began = Instant::now();
    while !marked.0.0.load(Ordering::SeqCst) && began.elapsed() < PATIENCE {
        tokio::task::consume_budget().await;
    }
    marked.0.0.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_never_leaves_anything_of_its_turn_is_marked() {
    let marked = Marked::default();
    let results = Marking { results: InMemoryResults::new(), marked: marked.clone() };
    let app = InMemoryBroker::new().with_result_backend(results).with_state(marked).with_state(Log::default());
    let handle = until_marked.kiq().on(&app).await.unwrap();
    assert!(handle.wait_result().await.unwrap().into_value().unwrap(), "a copy of its message would find no mark");
}

#[task]
async fn naps(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_store_that_panics_costs_an_attempt() {
    let results = Broken(InMemoryResults::new());
    let app = InMemoryBroker::new().with_result_backend(results).with_state(Marked::default());
    let app = app.with_state(Log::default());
    let handle = naps(60).kiq().on(&app).await.unwrap();
    let failure = handle.wait_result().timeout("1h").await.unwrap().into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Panic);
    assert!(failure.message.contains("no marks today"), "{failure}");
}

/// Takes the only thread, once what its end sets off has begun, until that time.
#[task]
async fn holds_the_thread(until: u64) {
    let mut polls = 0;
    tokio::spawn(poll_fn(move |cx| {
        polls += 1;
        if polls == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while UnixMillis::now().0 <= until {
            std::thread::sleep(Duration::from_millis(10));
        }
        Poll::Ready(())
    }));
}

#[task]
async fn runs(log: State<Log>) {
    log.note("ran");
}

#[tokio::test]
async fn a_task_that_expires_after_it_was_admitted_does_not_begin() {
    let log = Log::default();
    let app = InMemoryBroker::new().without_worker().with_state(log.clone()).with_state(Marked::default());
    let expires = UnixMillis::now().0 + 1000;
    holds_the_thread(expires + 100).kiq().on(&app).await.unwrap();
    let handle = runs.kiq().expires("1s").on(&app).await.unwrap();
    app.worker().concurrency(1).run_until(handle.wait_result()).await.unwrap();
    let failure = handle.wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!((failure.kind, log.count("ran")), (FailureKind::Expired, 0));
}
