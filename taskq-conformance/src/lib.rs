//! The contracts of taskq's brokers and result backends, as tests that anyone can run on their own.
//!
//! # Brokers
//!
//! Say how to reach the broker, and let the macro write one test per case:
//!
//! ```
//! # use taskq_core::InMemoryBroker as MyBroker;
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
//! The cases are plain functions, grouped as the contract is: [`publish`], [`settle`], [`prefetch`], [`delay`],
//! [`priority`], [`lifecycle`], [`poison`], [`load`]. [`check`] runs one of them.
//!
//! # Result backends
//!
//! [`ResultsHarness`] and [`results_suite!`] do the same for [`ResultBackend`](taskq_core::ResultBackend).
//!
//! # Faults
//!
//! [`FlakyBroker`] is the other half: it wraps a broker and breaks the contract where a test asks for it, to show that
//! what stands on brokers survives that.

#[macro_use]
mod case;
pub mod delay;
mod eventually;
mod flaky;
mod harness;
pub mod lifecycle;
pub mod load;
mod messages;
pub mod poison;
pub mod prefetch;
pub mod priority;
pub mod publish;
pub mod results;
mod run;
mod scene;
pub mod settle;
mod suite;

pub use case::{CaseResult, NotPassed};
pub use eventually::eventually;
pub use flaky::{FlakyBroker, Step};
pub use harness::Harness;
pub use results::ResultsHarness;
pub use run::{check, run_case};
pub use scene::Scene;
