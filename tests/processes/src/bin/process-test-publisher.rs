//! Submits a task under the id that its command line names, and says so once that is confirmed.

use std::io::Write;
use taskq::prelude::*;
use taskq_process_tests::nap;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = taskq_process_tests::app();
    let id = std::env::args().nth(1).ok_or("no id")?;
    nap.kiq(0).task_id(id).on(&app).await?;
    writeln!(std::io::stdout(), "confirmed")?;
    Ok(())
}
