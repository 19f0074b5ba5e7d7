//! The contracts of taskq's brokers and result backends, as tests that anyone can run on their own.
//!
//! # Brokers
//!
//! Say how to reach the broker, and let the macro write one test per case:
//!
//! ```
//! # use taskq::InMemoryBroker as MyBroker;
//! use taskq_conformance::{Harness, broker_suite};
//!
//! struct MyHarness(MyBroker);
//!
//! impl Harness for MyHarness {
//!     type Broker = MyBroker;
//!     async fn connect(&self) -> MyBroker {
//!         self.0.clone()
//!     }
//! }
//!
//! broker_suite!(MyHarness(MyBroker::new()));
//! ```
//!
//! Every test makes a harness of its own, works on queues of its own, and bounds each wait, so that a broker that breaks
//! the contract fails the case rather than hanging it. What the broker says it cannot do
//! ([`Capabilities`](taskq_core::Capabilities)) and what the harness cannot do is left out, and the test prints that it
//! was, with the reason.
//!
//! The cases are named by what they show, in groups: `publish`, `settle`, `prefetch`, `delay`, `priority`, `lifecycle`,
//! `poison`, `load`. `cargo test settle::` runs one group, and `cargo test a_dropped_delivery_comes_again` one case.
//! [`BROKER_CASES`] lists them, and [`check_broker`] runs one by its name where tests of one's own are wanted.
//!
//! # Result backends
//!
//! [`ResultsHarness`], [`results_suite!`], [`RESULTS_CASES`] and [`check_results`] do the same for a
//! [`ResultBackend`](taskq_core::ResultBackend), in the groups `store`, `wait`, `steps` and `claims`.
//!
//! # Faults
//!
//! [`FlakyBroker`] is the other half: it wraps a broker and breaks the contract where a test asks for it, to show that
//! what stands on brokers survives that.

#[macro_use]
mod case;
mod delay;
mod eventually;
mod flaky;
mod harness;
mod lifecycle;
mod load;
mod messages;
mod poison;
mod prefetch;
mod priority;
mod publish;
mod results;
mod run;
mod scene;
mod settle;
mod suite;

pub use case::{CaseResult, NotPassed};
pub use eventually::eventually;
pub use flaky::{FlakyBroker, Step};
pub use harness::Harness;
pub use results::ResultsHarness;
pub use run::{check_broker, check_results};
pub use suite::{BROKER_CASES, RESULTS_CASES};

pub(crate) use scene::Scene;
pub(crate) use suite::{case_names, find_case};

/// What the tests that the suites write call. It may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::run::{test_broker, test_results};
}
