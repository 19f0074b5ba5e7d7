//! stub
mod results;

pub use results::InMemoryResults;

/// stub
#[derive(Debug)]
pub struct InMemoryBroker;
