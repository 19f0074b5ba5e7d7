//! Which queue a task ends in, and what becomes of those whose queue is gone.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use futures_util::future::join_all;
use std::time::Duration;
use support::{Log, Stage, operator};
use taskq::{KiqError, prelude::*};

#[task]
async fn note(ctx: TaskContext, log: State<Log>, text: &str) {
    log.note(format!("{text} in {}", ctx.queue()));
}

/// A hundred at once, of which every twentieth goes to `gone`.
async fn ninety_five_and_five(app: &App, gone: &str, delay: Option<&str>) {
    let calls = (0..100).map(|i| {
        let kiq = note.kiq("ran").on(app);
        let kiq = if i % 20 == 7 { kiq.queue(gone) } else { kiq };
        match delay {
            Some(delay) => kiq.delay(delay),
            None => kiq,
        }
    });
    for (i, outcome) in join_all(calls).await.into_iter().enumerate() {
        match outcome {
            Ok(handle) => {
                assert_ne!(i % 20, 7, "{i} was sent to a queue that is gone, with delay {delay:?}");
                assert!(handle.wait_result().timeout("30s").await.unwrap().is_ok(), "{i}");
            }
            Err(KiqError::UnknownQueue { queue, .. }) if i % 20 == 7 => assert_eq!(queue, gone),
            Err(error) => panic!("{i}: {error}"),
        }
    }
}

async fn of_a_hundred_publishes_in_flight_exactly_those_to_a_missing_queue_fail(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let gone = support::unique("gone");
    if !stage.is_memory() {
        stage.app().with_state(log.clone()).with_queue(QueueSpec::new(&gone)).startup().await.unwrap();
        operator().await.delete_with_letters(&gone).await;
    }
    for delay in [None, Some("100ms")] {
        ninety_five_and_five(&app, &gone, delay).await;
    }
    assert_eq!(log.texts().len(), 2 * 95);
}

async fn queues_whose_names_end_alike_do_not_see_each_others_tasks(stage: Stage) {
    let log = Log::default();
    let short = stage.queue("b");
    let [long, longer] = [format!("a.{short}"), format!("{short}.a")];
    let queues = [short.clone(), long, longer];
    let app = queues.iter().fold(stage.idle_app(), |app, queue| app.with_queue(QueueSpec::new(queue)));
    let app = app.with_state(log.clone());
    app.startup().await.unwrap();
    let mut handles = Vec::new();
    for queue in &queues {
        for delay in ["0s", "100ms", "300ms"] {
            handles.push(note.kiq(queue).queue(queue).delay(delay).on(&app).await.unwrap());
        }
    }
    // One queue after the other, so that a stray task shows.
    for (queue, handles) in queues.iter().zip(handles.chunks(3)) {
        let stop = tokio_util::sync::CancellationToken::new();
        let running = tokio::spawn(app.worker().queue(queue).run_until(stop.clone().cancelled_owned()));
        for handle in handles {
            assert!(handle.wait_result().timeout("30s").await.unwrap().is_ok());
        }
        stop.cancel();
        running.await.unwrap().unwrap();
    }
    for (texts, queue) in log.texts().chunks(3).zip(&queues) {
        assert!(texts.iter().all(|text| *text == format!("{queue} in {queue}")), "{texts:?}");
    }
    assert_eq!(log.texts().len(), 9);
    if !stage.is_memory() {
        let operator = operator().await;
        for queue in &queues {
            operator.delete_with_letters(queue).await;
        }
    }
}

on_both! {
    of_a_hundred_publishes_in_flight_exactly_those_to_a_missing_queue_fail,
    queues_whose_names_end_alike_do_not_see_each_others_tasks,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_tasks_whose_queue_was_deleted_hold_up_nobody() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let log = Log::default();
        let gone = stage.queue("gone");
        let app = stage.start(stage.app().with_state(log.clone()).with_queue(QueueSpec::new(&gone))).await;
        let lost = (0..40).map(|_| note.kiq("lost").queue(&gone).delay("4s").on(&app));
        let lost = join_all(lost).await;
        assert!(lost.iter().all(Result::is_ok), "the queue is there as yet");
        operator().await.delete_with_letters(&gone).await;
        let began = tokio::time::Instant::now();
        let live = join_all((0..5).map(|_| note.kiq("live").delay("4s").on(&app))).await;
        for handle in live {
            assert!(handle.unwrap().wait_result().timeout("30s").await.unwrap().is_ok());
        }
        println!("five tasks of 4 s behind forty lost ones were done after {:?}", began.elapsed());
        let again = note.kiq("live").delay("400ms").on(&app).await.unwrap();
        assert!(again.wait_result().timeout("30s").await.unwrap().is_ok());
        assert_eq!(log.texts().len(), 6);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_under_its_worker_works_again_when_it_is_declared_again() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let log = Log::default();
        let app = stage.start(stage.app().with_state(log.clone())).await;
        assert!(note.kiq("before").on(&app).await.unwrap().wait_result().await.unwrap().is_ok());
        operator().await.delete_with_letters(&stage.queue).await;
        let error = note.kiq("between").on(&app).await.unwrap_err();
        assert!(matches!(error, KiqError::UnknownQueue { .. }), "{error}");
        stage.app().with_state(log.clone()).startup().await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), async {
            let handle = note.kiq("after").on(&app).await.unwrap();
            assert!(handle.wait_result().await.unwrap().is_ok());
        })
        .await
        .unwrap();
    })
    .await;
}
