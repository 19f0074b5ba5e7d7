//! stub
/// stub
#[derive(Debug)]
pub struct InMemoryBroker;
/// stub
#[derive(Debug)]
pub struct InMemoryResults;
