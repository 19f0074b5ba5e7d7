//! A channel of tokio with a spawn per task: what a broker inside the process comes to.

use crate::{protocol::Report, role::cue::Cue};
use anyhow::Result;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

const CAPACITY: usize = 10_000;

type Waiting = (u64, oneshot::Sender<u64>);

pub(crate) async fn call(callers: u64, tasks: u64, mut cue: Cue) -> Result<Report> {
    let (publish, mut waiting) = mpsc::channel::<Waiting>(CAPACITY);
    tokio::spawn(async move {
        while let Some((n, told)) = waiting.recv().await {
            // Whoever asked is still there.
            tokio::spawn(async move { told.send(std::hint::black_box(n)) });
        }
    });
    let watch = cue.ready().await?;
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let publish = publish.clone();
        running.spawn(async move {
            for n in 0..tasks / callers {
                let (told, result) = oneshot::channel();
                publish.send((n, told)).await?;
                result.await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(watch.report(tasks))
}
