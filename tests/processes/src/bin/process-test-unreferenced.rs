//! A worker's program that depends on a crate of tasks and names it nowhere.
#![allow(clippy::print_stdout, reason = "a test reads it")]

use taskq::prelude::*;

fn main() -> Result<(), taskq::WorkerError> {
    for task in InMemoryBroker::new().into_app().tasks()? {
        println!("{}", task.name);
    }
    Ok(())
}
