//! A claim that was granted and has ended before its worker hears of it, as happens to a process that stands still.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use support::Log;
use taskq::{Bid, BoxFuture, Claim, ClaimAnswer, Hold, InMemoryResults, ResultBackend, ResultError, prelude::*};
use tokio_util::sync::CancellationToken;

#[task]
async fn once(log: State<Log>) -> bool {
    log.note("ran");
    true
}

/// Another worker has it by now.
struct Ended;

impl Hold for Ended {
    fn is_held(&self) -> BoxFuture<'_, Result<bool, ResultError>> {
        Box::pin(async { Ok(false) })
    }
    fn begin(&self) -> BoxFuture<'_, Result<bool, ResultError>> {
        Box::pin(async { Ok(false) })
    }
    fn give_back(self: Box<Self>) -> BoxFuture<'static, Result<(), ResultError>> {
        Box::pin(async { Ok(()) })
    }
}

/// The first claim that it grants is old news.
struct Late {
    results: InMemoryResults,
    claims: AtomicUsize,
}

impl ResultBackend for Late {
    results_but_claims!(results);

    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        match self.claims.fetch_add(1, Ordering::SeqCst) {
            0 => Box::pin(async { Ok(Some(ClaimAnswer::Run(Claim::new(CancellationToken::new(), Box::new(Ended))))) }),
            _ => self.results.claim(bid),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_claim_has_ended_before_it_begins_does_not_begin() {
    let (log, results) = (Log::default(), Late { results: InMemoryResults::new(), claims: AtomicUsize::new(0) });
    let results = Arc::new(results);
    let app = InMemoryBroker::new().without_worker().with_result_backend(results.clone()).with_state(log.clone());
    // One of the caller's choice is claimed before it runs.
    let handle = once.kiq().task_id("order-17").on(&app).await.unwrap();
    app.worker().run_until(handle.wait_result()).await.unwrap();
    assert!(results.claims.load(Ordering::SeqCst) >= 2, "it was not asked again");
    assert_eq!(log.count("ran"), 1, "it began on a claim that had ended");
}
