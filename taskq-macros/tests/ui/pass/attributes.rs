//! Other attributes beside `#[task]`.
#![deny(unused, deprecated)]
use taskq_macros::task;

#[derive(serde::Serialize, serde::Deserialize)]
#[deprecated = "use another"]
pub struct Old;

#[task(crate = taskq_core)]
#[allow(deprecated)]
pub async fn old(value: Old) -> Old {
    value
}

#[task(crate = taskq_core)]
#[deprecated(note = "use add")]
#[must_use]
pub fn sum(a: i64) -> i64 {
    a
}

/// Has lints of its own.
#[task(crate = taskq_core)]
#[allow(unused_variables)]
#[inline]
#[doc(alias = "other")]
pub async fn lint(a: i64) {
    #![allow(unused_mut)]
    let mut b = 1;
}

fn main() {
    #[allow(deprecated)]
    drop(sum(1));
}
