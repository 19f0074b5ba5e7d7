//! The floor: nothing but lapin and redis, doing the same work.

mod envelope;
pub(crate) mod idle;
pub(crate) mod in_memory;
pub(crate) mod line;
pub(crate) mod publish;
mod results;
pub(crate) mod retries;
pub(crate) mod shape;
#[cfg(test)]
mod tests;
pub(crate) mod wait;
mod waits;
pub(crate) mod work;
