//! The same without `#[task]`: a task is a type with a name, arguments, a value and a body.
//!
//! Run with `cargo run --example without_macros`. You should see:
//!
//! ```text
//! attempt 1: resizing cat.png to 800
//! attempt 2: resizing cat.png to 800
//! 640000 pixels
//! ```

#![allow(missing_docs, clippy::print_stdout)]

use serde::{Deserialize, Serialize};
use std::time::Duration;
use taskq::{Backoff, BoxError, Run, Task, TaskConfig, prelude::*};

/// The task.
struct Resize;

/// Its arguments: a map by name on the wire.
#[derive(Serialize, Deserialize)]
struct ResizeArgs {
    path: String,
    width: u64,
}

/// What a sender needs.
impl Task for Resize {
    type Args = ResizeArgs;
    type Output = u64;
    type Returns = Result<u64, BoxError>;
    const NAME: &'static str = "images.resize";
    const CONFIG: TaskConfig = TaskConfig::new().retry(3).backoff(Backoff::fixed(Duration::from_millis(50)));
}

/// What a worker needs.
impl Run for Resize {
    async fn run(ctx: TaskContext, args: ResizeArgs) -> Result<u64, BoxError> {
        println!("attempt {}: resizing {} to {}", ctx.attempt(), args.path, args.width);
        if ctx.attempt() == 1 {
            return Err("the disk is full".into());
        }
        Ok(args.width * args.width)
    }
}

#[tokio::main]
async fn main() -> taskq::Result<()> {
    let app = InMemoryBroker::new().register::<Resize>();
    let call: Call<Resize> = Call::new(ResizeArgs { path: "cat.png".into(), width: 800 });
    let handle = call.kiq().label("tenant", "acme").on(&app).await?;
    println!("{} pixels", handle.wait_result().await?.into_value()?);
    Ok(())
}
