use taskq_macros::task;

use taskq_core::prelude::*;

#[task(crate = taskq_core)]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

async fn caller() {
    drop(add.kiq(1));
    drop(add.kiq("one", 2));
    drop(add("one", 2));
}

fn main() {}
