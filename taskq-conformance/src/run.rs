//! Runs one case and tidies up after it.

use crate::{CaseResult, Harness, NotPassed, Scene};
use futures_util::FutureExt;
use std::{
    io::{Write, stderr},
    panic::{AssertUnwindSafe, resume_unwind},
};
use tokio::{runtime, time::timeout};

/// How many times the harness's patience a whole case may take.
const CASE_LIMIT: u32 = 12;

/// Runs one case on `harness`: a function of one of this crate's groups, such as
/// [`publish::order_is_kept_for_one_consumer`](crate::publish::order_is_kept_for_one_consumer).
///
/// Resolves within a bounded time, when all connections are closed and all queues are cleaned up.
///
/// # Errors
/// [`NotPassed::Broken`] if the broker breaks its contract, [`NotPassed::LeftOut`] if the case needs what is not there.
///
/// # Panics
/// As the broker or the harness does.
pub async fn check<H: Harness>(harness: H, case: impl AsyncFnOnce(&Scene<H>) -> CaseResult) -> CaseResult {
    let scene = Scene::new(harness);
    let limit = scene.patience() * CASE_LIMIT;
    let running = timeout(limit, case(&scene));
    let end = AssertUnwindSafe(running).catch_unwind().await;
    scene.clean_up().await;
    match end {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(NotPassed::silent("the whole case", limit)),
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs one case on a runtime of its own, with four threads. This is what [`broker_suite!`](crate::broker_suite) puts
/// into each test. A case that is left out passes, and says so on the standard error output, past the test runner.
///
/// # Errors
/// The broker breaks its contract.
///
/// # Panics
/// As the broker or the harness does.
pub fn run_case<H: Harness>(
    name: &str,
    harness: impl Future<Output = H>,
    case: impl AsyncFnOnce(&Scene<H>) -> CaseResult,
) -> CaseResult {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .map_err(|error| NotPassed::Broken(format!("no runtime for the test: {error}")))?;
    let end = runtime.block_on(async { check(harness.await, case).await });
    match end {
        Err(NotPassed::LeftOut(why)) => {
            // The print macros would be captured by the test runner.
            let _ = writeln!(stderr(), "{name} ... left out: {why}");
            Ok(())
        }
        end => end,
    }
}
