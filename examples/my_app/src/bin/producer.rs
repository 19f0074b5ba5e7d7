//! Submits tasks and waits for their results. Needs a worker beside it: `taskq worker my_app::broker`.
#![allow(clippy::print_stdout)]

use my_app::{add, process_chat, welcome};

#[tokio::main]
async fn main() -> taskq::Result<()> {
    use taskq::prelude::*;
    let app = my_app::broker();
    app.startup().await?;
    println!("1 + 2 = {}", add.kiq(1, 2).await?.wait_result().await?.into_value()?);
    let answer = process_chat.kiq("s1", "busy").await?.wait_result().timeout("30s").await?.into_value()?;
    println!("{} (attempt {})", answer.text, answer.attempt);
    println!("{}", welcome.kiq(7).priority(5).await?.wait_result().await?.into_value()?);
    app.shutdown().await?;
    Ok(())
}
