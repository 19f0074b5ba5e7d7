//! Functions that call themselves.
use taskq_core::prelude::*;
use taskq_macros::task;

#[task(crate = taskq_core)]
pub fn fib(n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { fib(n - 1) + fib(n - 2) }
}

#[task(crate = taskq_core)]
pub async fn count_down(n: u32) -> u32 {
    if n == 0 { 0 } else { count_down(n - 1).await }
}

#[task(crate = taskq_core)]
pub async fn split(n: u32) -> Result<(), taskq_core::KiqError> {
    if n > 1 {
        split.kiq(n / 2).await?;
        split.kiq(n - n / 2).await?;
    }
    Ok(())
}

fn main() {
    assert_eq!(fib::inner(12), 144);
    drop((fib.kiq(1), count_down.kiq(1), split.kiq(1)));
}
