//! All that a task's error may be.
use std::error::Error;
use taskq_macros::task;
use taskq_core::{BoxError, TaskError};

#[task(crate = taskq_core)]
async fn standard() -> Result<(), std::io::Error> {
    Err(std::io::Error::other("x"))
}

#[task(crate = taskq_core)]
async fn text() -> Result<(), String> {
    Err("x".into())
}

#[task(crate = taskq_core)]
async fn literal(n: u8) -> Result<u8, &'static str> {
    if n > 1 { Ok(n) } else { Err("x") }
}

#[task(crate = taskq_core)]
async fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
    Err("x".into())
}

#[task(crate = taskq_core)]
async fn ours() -> Result<(), TaskError> {
    Err(TaskError::permanent("x"))
}

#[task(crate = taskq_core)]
async fn alias() -> taskq_core::Result<(), BoxError> {
    Err("x".into())
}

#[task(crate = taskq_core)]
fn plain() -> std::io::Result<String> {
    std::fs::read_to_string("/nowhere")
}

fn worth_a_retry(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::TimedOut
}

#[task(crate = taskq_core, retry = 1, retry_on = worth_a_retry)]
fn chosen() -> std::io::Result<String> {
    std::fs::read_to_string("/nowhere")
}

fn main() {
    drop((standard(), text(), literal(1), boxed(), ours(), alias(), plain(), chosen()));
}
