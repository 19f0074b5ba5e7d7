use taskq_macros::task;

use taskq_core::{Task, prelude::*};

#[task(crate = taskq_core, retry = "three", timeout = "soon")]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task(crate = taskq_core)]
async fn length(texts: Vec<&str>, by: &mut u8) -> Result<usize, String> {
    Ok(texts.len() + usize::from(*by))
}

async fn caller() -> Result<(), taskq_core::Error> {
    let sum: i64 = add.kiq(1, 2).await?.wait_result().await?.into_value().unwrap();
    let length: usize = length.kiq(vec![], &mut 1).await?.wait_result().await?.into_value().unwrap();
    let here: Result<usize, String> = self::length(vec![], &mut 1).await;
    drop((sum, length, here, <self::add as Task>::NAME));
    Ok(())
}

fn main() {}
