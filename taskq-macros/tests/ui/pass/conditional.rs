//! A task under `cfg` comes and goes as a whole.
use taskq_core::prelude::*;
use taskq_macros::task;

#[task(crate = taskq_core)]
#[cfg(any())]
pub async fn never(a: Missing) -> Missing {
    a
}

#[cfg(any())]
#[task(crate = taskq_core)]
pub async fn never(a: Missing) -> Missing {
    a
}

#[task(crate = taskq_core)]
#[cfg(all())]
pub async fn always(a: u8) -> u8 {
    a
}

#[task(crate = taskq_core)]
#[cfg_attr(all(), allow(unused_variables))]
pub fn lint(a: u8) {}

fn main() {
    drop((always.kiq(1), lint.kiq(1)));
}
