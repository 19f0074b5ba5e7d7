//! taskq inside one process.

use super::tasks::kept;
use crate::{protocol::Report, role::cue::Cue};
use anyhow::Result;
use taskq::{BrokerExt, prelude::*};
use tokio::task::JoinSet;

pub(crate) async fn call(callers: u64, tasks: u64, mut cue: Cue) -> Result<Report> {
    let app = InMemoryBroker::new().into_app();
    app.startup().await?;
    let watch = cue.ready().await?;
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let app = app.clone();
        running.spawn(async move {
            for n in 0..tasks / callers {
                kept(n).kiq().on(&app).await?.wait_result().await?.into_value()?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(watch.report(tasks))
}
