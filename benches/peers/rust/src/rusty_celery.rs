//! rusty-celery on RabbitMQ. It keeps no results.

use crate::{CONCURRENCY, Result, setting, submitted};
use celery::{Celery, prelude::*};
use std::sync::Arc;

#[celery::task]
async fn noop() {}

async fn app(queue: &str) -> Result<Arc<Celery>> {
    let app = celery::app!(
        broker = AMQPBroker { setting("PEERS_AMQP")? },
        tasks = [noop],
        task_routes = ["*" => queue],
        prefetch_count = CONCURRENCY,
    );
    Ok(app.await?)
}

pub(crate) async fn submit(tasks: u64) -> Result<()> {
    let app = app(&setting("PEERS_QUEUE")?).await?;
    let submitting = app.clone();
    submitted(tasks, move || {
        let app = submitting.clone();
        async move {
            app.send_task(noop::new()).await?;
            Ok(())
        }
    })
    .await?;
    // A process that just ends takes with it what is not written yet: a sixth of 1,500 tasks, when it was tried.
    Ok(app.close().await?)
}

pub(crate) async fn work() -> Result<()> {
    let queue = setting("PEERS_QUEUE")?;
    Ok(app(&queue).await?.consume_from(&[queue.as_str()]).await?)
}
