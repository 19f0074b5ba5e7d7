//! Waits for the results of the tasks that are named on its command line, and says how long after its end each was there.

use std::io::Write;
use taskq::{ResultError, UnixMillis, prelude::*};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = taskq_process_tests::app();
    let waits: Vec<_> = std::env::args().skip(1).map(|id| tokio::spawn(late(TaskHandle::attach(&app, id)))).collect();
    for wait in waits {
        writeln!(std::io::stdout(), "{}", wait.await??)?;
    }
    Ok(())
}

async fn late(handle: TaskHandle<u32>) -> Result<u64, ResultError> {
    let finished = handle.wait_result().await?.record().finished;
    Ok(UnixMillis::now().0.saturating_sub(finished.0))
}
