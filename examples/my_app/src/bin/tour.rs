//! The programs that README.md shows. Needs a worker beside it: `taskq worker my_app::broker`.

use my_app::{add, welcome};
use taskq::prelude::*;

#[tokio::main]
async fn main() -> taskq::Result<()> {
    let app = my_app::broker();
    app.startup().await?; // connects, declares, checks
    let handle = add.kiq(1, 2).await?; // resolves when the broker has confirmed the message
    let result = handle.wait_result().timeout("1m").await?; // pushed, not polled; without a limit it waits for a worker
    assert_eq!(result.into_value()?, 3);
    send_in_other_ways(&app).await
}

async fn send_in_other_ways(app: &App) -> taskq::Result<()> {
    let id = taskq::TaskId::new();
    add.kiq(1, 2).delay("5s").task_id(&id).label("tenant", "acme").expires("1h").within("5s").on(app).await?;
    welcome.kiq(7).queue("my_app.mail").priority(5).await?; // that queue was declared with priorities
    let sum = add(1, 2).await; // the plain call runs here
    let handles = app.kiq_many((0..1000).map(|i| add(i, 1))).await?;
    let same = TaskHandle::<i64>::attach(app, id).wait_result().timeout("10s").await?; // from any process
    assert_eq!((sum, handles.len(), same.into_value()?), (3, 1000, 3));
    Ok(())
}
