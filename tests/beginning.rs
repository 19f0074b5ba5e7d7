//! Runs that do not begin where their delivery is taken: behind a queue whose room is taken, as plain functions, or after a question.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{Log, Stage};
use taskq::{Event, FailureKind, IntoKiq, Observer, Task, TaskHandle, prelude::*};
use tokio::time::{Instant, sleep};

const WORK: Duration = Duration::from_millis(50);

/// Takes all the room that there is, for a while.
#[task]
async fn hold() {
    sleep(WORK * 2).await;
}

#[task]
async fn work() {
    sleep(WORK).await;
}

#[task(track)]
async fn tracked_work() {
    sleep(WORK).await;
}

#[task]
fn plain_work() {}

#[task(timeout = "200ms")]
async fn never_rest() {
    loop {
        sleep(Duration::from_millis(1)).await;
    }
}

#[task(expires = "2s")]
async fn outlive_that() {
    sleep(Duration::from_secs(3)).await;
}

/// How many messages of its own queue are not settled.
#[task(ack = "on_receive")]
async fn count_unsettled(ctx: TaskContext) -> u64 {
    ctx.app().broker().inspect(ctx.queue()).await.unwrap().unsettled.unwrap()
}

/// Notes what starts and what ends, and what took too short a time.
struct Notes(Log);

impl Observer for Notes {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Started { message, .. } => self.0.note(format!("{} starts", message.task)),
            Event::Finished { message, took, .. } => {
                let is_short = !message.task.ends_with("plain_work") && *took < WORK;
                self.0.note(format!("{} ends{}", message.task, if is_short { " too soon" } else { "" }));
            }
            _ => {}
        }
    }
}

async fn every_run_is_seen_to_start_and_to_take_its_time(stage: Stage) {
    let log = Log::default();
    let app = stage.idle_app().with_observer(Notes(log.clone()));
    app.startup().await.unwrap();
    hold.kiq().on(&app).await.unwrap();
    let names = [work.kiq().on(&app).await, tracked_work.kiq().on(&app).await, plain_work.kiq().on(&app).await]
        .map(|handle| handle.unwrap());
    stage.start_with(app, |worker| worker.concurrency(1)).await;
    for handle in &names {
        handle.wait_result().await.unwrap().into_value().unwrap();
    }
    let here = module_path!();
    for task in ["work", "tracked_work", "plain_work"] {
        let of_task: Vec<_> =
            log.texts().into_iter().filter(|text| text.starts_with(&format!("{here}::{task} "))).collect();
        assert_eq!(of_task, [format!("{here}::{task} starts"), format!("{here}::{task} ends")]);
    }
}

/// Has the task wait behind one that takes all the room of their worker.
async fn behind_another<K: IntoKiq>(stage: &Stage, task: K) -> TaskHandle<<K::Task as Task>::Output> {
    let app = stage.idle_app();
    app.startup().await.unwrap();
    hold.kiq().on(&app).await.unwrap();
    let handle = task.into_kiq().on(&app).await.unwrap();
    stage.start_with(app, |worker| worker.concurrency(1)).await;
    handle
}

async fn a_run_that_began_in_time_may_outlive_its_message(stage: Stage) {
    let handle = behind_another(&stage, outlive_that()).await;
    handle.wait_result().await.unwrap().into_value().unwrap();
}

on_both!(every_run_is_seen_to_start_and_to_take_its_time, a_run_that_began_in_time_may_outlive_its_message,);

#[tokio::test(start_paused = true)]
async fn what_is_acked_on_receipt_is_acked_before_it_begins_behind_another() {
    let stage = Stage::memory();
    let handle = behind_another(&stage, count_unsettled()).await;
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 0);
    stage.clear().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_never_rests_times_out_in_its_time_behind_another() {
    let (stage, began) = (Stage::memory(), Instant::now());
    let handle = behind_another(&stage, never_rest()).await;
    let failure = handle.wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(began.elapsed() < Duration::from_secs(1), "only after {:?}", began.elapsed());
    stage.clear().await;
}
