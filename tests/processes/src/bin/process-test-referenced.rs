//! The same, with the one line that it takes.
#![allow(clippy::print_stdout, reason = "a test reads it")]

use taskq::prelude::*;
use taskq_process_tests as _;

fn main() -> Result<(), taskq::WorkerError> {
    for task in InMemoryBroker::new().into_app().tasks()? {
        println!("{}", task.name);
    }
    Ok(())
}
