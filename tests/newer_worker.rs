//! A task that the worker at hand does not know yet.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{Log, Stage};
use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext, prelude::*};
use taskq_faults::wait::eventually;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Registered by the newer worker only.
struct Newest;

impl Task for Newest {
    type Args = ();
    type Output = u32;
    type Returns = u32;
    const NAME: &'static str = "newest";
    const CONFIG: TaskConfig = TaskConfig::new();
}

impl Run for Newest {
    async fn run(ctx: TaskContext, (): ()) -> Result<u32, BoxError> {
        ctx.state::<Log>().expect("a log").note("run");
        Ok(ctx.attempt())
    }
}

#[task]
async fn known() {}

async fn a_new_task_that_an_old_worker_was_given_runs_once_when_a_newer_one_comes(stage: Stage) {
    let log = Log::default();
    let old = stage.idle_app();
    old.startup().await.unwrap();
    let stop = CancellationToken::new();
    let old_worker = tokio::spawn(old.worker().run_until_stopped(stop.clone(), CancellationToken::new()));
    let began = Instant::now();
    let handle = Call::<Newest>::new(()).kiq().on(&old).await.unwrap();
    // The old worker has looked at it when it has done what came after it.
    known.kiq().on(&old).await.unwrap().wait_result().await.unwrap();
    eventually("it waits outside the queue", || async {
        let info = old.broker().inspect(&stage.queue).await.unwrap();
        info.ready == 0 && info.unsettled.unwrap_or(0) == 0
    })
    .await;
    let newer = stage.start(stage.idle_app().with_state(log.clone()).register::<Newest>()).await;
    stop.cancel();
    old_worker.await.unwrap().unwrap();
    let result = handle.wait_result().timeout("60s").await.expect("it runs when it comes back");
    assert_eq!(result.into_value().unwrap(), 1, "waiting costs no attempt");
    assert!(began.elapsed() >= Duration::from_secs(29), "it did not wait: {:?}", began.elapsed());
    known.kiq().on(&newer).await.unwrap().wait_result().await.unwrap();
    eventually("nothing is left", || async { old.broker().inspect(&stage.queue).await.unwrap().ready == 0 }).await;
    assert_eq!(log.texts(), ["run"]);
    assert_eq!(old.dead_letters(&stage.queue).count().await.unwrap(), 0);
}

on_both! {
    a_new_task_that_an_old_worker_was_given_runs_once_when_a_newer_one_comes,
}
