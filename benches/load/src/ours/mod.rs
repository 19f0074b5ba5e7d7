//! taskq, through its public surface.

pub(crate) mod app;
pub(crate) mod in_memory;
pub(crate) mod publish;
pub(crate) mod tasks;
pub(crate) mod wait;
pub(crate) mod work;
