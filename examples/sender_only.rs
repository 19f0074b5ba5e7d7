//! A producer that knows only the name and the types of a task: the body, with all that it depends on, lives in another
//! program. Here both are in one file, in two modules that share nothing.
//!
//! Run with `cargo run --example sender_only`. You should see:
//!
//! ```text
//! embedded 3 images: [0.25, 0.5, 0.75]
//! ```

#![allow(missing_docs, clippy::print_stdout)]

/// A small crate in production: no body, none of its dependencies.
mod contract {
    use serde::{Deserialize, Serialize};
    use taskq::{Task, TaskConfig};

    pub(crate) struct Embed;

    #[derive(Serialize, Deserialize)]
    pub(crate) struct EmbedArgs {
        pub(crate) images: Vec<String>,
    }

    impl Task for Embed {
        type Args = EmbedArgs;
        type Output = Vec<f32>;
        type Returns = Vec<f32>;
        const NAME: &'static str = "images.embed";
        const CONFIG: TaskConfig = TaskConfig::new();
    }
}

/// The worker's program: `#[task]` with the same name. Arguments travel by name, so the order is free.
mod worker {
    use taskq::prelude::*;

    #[task(name = "images.embed", retry = 3)]
    pub(crate) async fn embed(images: Vec<String>) -> Vec<f32> {
        let count = images.len() as f32;
        (1..=images.len()).map(|n| n as f32 / (count + 1.0)).collect()
    }
}

use contract::{Embed, EmbedArgs};
use taskq::prelude::*;

#[tokio::main]
async fn main() -> taskq::Result<()> {
    let app = InMemoryBroker::new().into_app();
    let images = ["a.png", "b.png", "c.png"].map(str::to_owned).to_vec();
    let count = images.len();
    let handle = Call::<Embed>::new(EmbedArgs { images }).kiq().on(&app).await?;
    println!("embedded {count} images: {:?}", handle.wait_result().await?.into_value()?);
    Ok(())
}
