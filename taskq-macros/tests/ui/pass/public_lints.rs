//! Public tasks with docs in a crate that wants docs and `Debug` on everything.
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub)]

use taskq_macros::task;

/// Adds.
#[task(crate = taskq_core)]
pub async fn add(a: i64, #[arg(default)] b: i64) -> i64 {
    a + b
}

/// Multiplies.
#[task(crate = taskq_core)]
pub fn multiply(a: i64, b: i64) -> i64 {
    a * b
}

fn main() {}
