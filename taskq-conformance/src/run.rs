//! Runs one case and tidies up after it.

use crate::{
    CaseResult, Harness, NotPassed, ResultsHarness, Scene,
    suite::{broker_case, results_case},
};
use futures_util::FutureExt;
use std::{
    io::{Write, stderr},
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};
use tokio::{runtime, time::timeout};

/// How many times the harness's patience a whole case may take.
const CASE_LIMIT: u32 = 12;

/// The longest that a case of the results suite may take.
const RESULTS_LIMIT: Duration = Duration::from_secs(120);

/// Runs one case of [`BROKER_CASES`](crate::BROKER_CASES) on `harness`.
///
/// For those who do not want the tests that [`broker_suite!`](crate::broker_suite) writes: to run cases on a test runner
/// or a runtime of one's own, or to show that a broken broker fails. Needs a tokio runtime with time. Resolves within
/// twelve times the harness's patience and the time it takes to clean up: all connections are closed by then, and the
/// queues given to [`Harness::cleanup`]. Dropping it leaves that out. It is not `Send`: await it in the test itself.
///
/// ```
/// use taskq_conformance::{Harness, NotPassed, check_broker};
/// # use taskq::InMemoryBroker;
/// # struct InMemory(InMemoryBroker);
/// # impl Harness for InMemory {
/// #     type Broker = InMemoryBroker;
/// #     async fn connect(&self) -> InMemoryBroker {
/// #         self.0.clone()
/// #     }
/// # }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let harness = || InMemory(InMemoryBroker::new());
/// assert_eq!(check_broker(harness(), "publish::order_is_kept_for_one_consumer").await, Ok(()));
/// let cut = check_broker(harness(), "lifecycle::consuming_resumes_after_an_interruption").await;
/// assert_eq!(cut, Err(NotPassed::LeftOut("the harness cannot interrupt connections".into())));
/// # });
/// ```
///
/// # Errors
/// [`NotPassed::Broken`] if the broker breaks its contract, [`NotPassed::LeftOut`] if the case needs what is not there,
/// [`NotPassed::Unknown`] if there is no such case.
///
/// # Panics
/// As the broker or the harness does.
pub async fn check_broker<H: Harness>(harness: H, case: &str) -> CaseResult {
    let scene = Scene::new(harness);
    let Some(running) = broker_case(case, &scene) else { return Err(NotPassed::Unknown(case.to_owned())) };
    let limit = scene.patience() * CASE_LIMIT;
    let end = AssertUnwindSafe(timeout(limit, running)).catch_unwind().await;
    scene.clean_up().await;
    match end {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(NotPassed::silent("the whole case", limit)),
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs one case of [`RESULTS_CASES`](crate::RESULTS_CASES) on `harness`.
///
/// The same for result backends as [`check_broker`] for brokers. Needs a tokio runtime with time, and resolves within
/// two minutes. It may be dropped at any time: what it stored has a time to live of one minute. It is not `Send`.
///
/// ```
/// use taskq_conformance::{RESULTS_CASES, ResultsHarness, check_results};
/// # use taskq::InMemoryResults;
/// # struct InMemory(InMemoryResults);
/// # impl ResultsHarness for InMemory {
/// #     type Results = InMemoryResults;
/// #     async fn connect(&self) -> InMemoryResults {
/// #         self.0.clone()
/// #     }
/// # }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// for case in RESULTS_CASES.iter().filter(|case| case.starts_with("steps::")) {
///     assert_eq!(check_results(InMemory(InMemoryResults::new()), case).await, Ok(()));
/// }
/// # });
/// ```
///
/// # Errors
/// As [`check_broker`] gives.
///
/// # Panics
/// As the backend or the harness does.
pub async fn check_results<H: ResultsHarness>(harness: H, case: &str) -> CaseResult {
    let Some(running) = results_case(case, &harness) else { return Err(NotPassed::Unknown(case.to_owned())) };
    timeout(RESULTS_LIMIT, running).await.map_err(|_| NotPassed::silent("the whole case", RESULTS_LIMIT))?
}

/// What a test of [`broker_suite!`](crate::broker_suite) does.
///
/// # Errors
/// The contract is broken.
pub fn test_broker<H: Harness>(test: &str, harness: impl Future<Output = H>, case: &str) -> CaseResult {
    run(test, async { check_broker(harness.await, case).await })
}

/// What a test of [`results_suite!`](crate::results_suite) does.
///
/// # Errors
/// The contract is broken.
pub fn test_results<H: ResultsHarness>(test: &str, harness: impl Future<Output = H>, case: &str) -> CaseResult {
    run(test, async { check_results(harness.await, case).await })
}

/// Runs a case on a runtime of its own. One that is left out passes, and says so.
fn run(test: &str, case: impl Future<Output = CaseResult>) -> CaseResult {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .map_err(|error| NotPassed::Broken(format!("no runtime for the test: {error}")))?;
    match runtime.block_on(case) {
        Err(NotPassed::LeftOut(why)) => {
            // The print macros would be captured by the test runner.
            let _ = writeln!(stderr(), "{test} ... left out: {why}");
            Ok(())
        }
        end => end,
    }
}
