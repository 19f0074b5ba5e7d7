//! The contracts of taskq's brokers and result backends, as tests that anyone can run on their own.

pub mod results;

pub use results::ResultsHarness;
