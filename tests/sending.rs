//! What `kiq` promises, and how it says no.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{Log, Stage, unique};
use taskq::{Error, KiqError, TaskStatus, prelude::*};
use taskq_faults::wait::eventually;

#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task]
async fn note(log: State<Log>, text: &str) {
    log.note(text);
}

#[task]
async fn swallow(bytes: Vec<u8>) -> usize {
    bytes.len()
}

async fn a_confirmed_task_gives_its_typed_result(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let handle = add.kiq(1, 2).on(&app).await.unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 3);
    assert_eq!(handle.wait_result().timeout("10s").await.unwrap().into_value().unwrap(), 3);
    let attached = TaskHandle::<i64>::attach(&app, handle.id());
    assert_eq!(attached.wait_result().await.unwrap().into_value().unwrap(), 3);
    assert_eq!(add(1, 2).await, 3);
}

async fn a_scope_says_which_app_a_kiq_goes_to(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let inside = async {
        let here = add.kiq(1, 2).await.unwrap();
        let behind_spawn = taskq::spawn(async { add.kiq(3, 4).await.unwrap() }).await.unwrap();
        (here, behind_spawn)
    };
    let (here, there) = app.scope(inside).await;
    assert_eq!(here.wait_result().await.unwrap().into_value().unwrap(), 3);
    assert_eq!(there.wait_result().await.unwrap().into_value().unwrap(), 7);
    let elsewhere = tokio::spawn(async { add.kiq(5, 6).await.unwrap() }.in_app(&app)).await.unwrap();
    assert_eq!(elsewhere.wait_result().await.unwrap().into_value().unwrap(), 11);
}

async fn a_thousand_calls_are_handed_over_in_one_go_and_in_order(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let handles = app.kiq_many((0..1000).map(|i| add(i, 1))).await.unwrap();
    assert_eq!(handles.len(), 1000);
    for (i, handle) in handles.iter().enumerate() {
        assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), i as i64 + 1);
    }
}

async fn kiq_many_hides_nothing_that_was_confirmed(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let nowhere = unique("nowhere");
    let calls = (0..10).map(|i| if i % 5 == 4 { add(i, 0).kiq().queue(&nowhere) } else { add(i, 0).kiq() });
    let error = app.kiq_many(calls).await.unwrap_err();
    assert_eq!(error.failed(), 2);
    for (i, outcome) in error.outcomes().iter().enumerate() {
        match outcome {
            Ok(handle) => assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), i as i64),
            Err(error) => assert!(i % 5 == 4 && matches!(error, KiqError::UnknownQueue { .. }), "{i}: {error}"),
        }
    }
}

async fn a_queue_that_was_not_declared_is_unknown_and_stays_so(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let typo = unique("typo");
    for _ in 0..2 {
        let error = add.kiq(1, 2).queue(&typo).on(&app).await.unwrap_err();
        assert!(matches!(&error, KiqError::UnknownQueue { queue, .. } if *queue == typo), "{error}");
        let error = add.kiq(1, 2).queue(&typo).delay("1s").on(&app).await.unwrap_err();
        assert!(matches!(&error, KiqError::UnknownQueue { queue, .. } if *queue == typo), "{error}");
    }
}

async fn what_cannot_be_sent_is_refused_with_the_reason(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let large = vec![1u8; 1024 * 1024 + 1];
    let error = swallow.kiq(large).on(&app).await.unwrap_err();
    assert!(matches!(error, KiqError::TooLarge { limit: 1_048_576, .. }), "{error}");
    let fits = vec![1u8; 1024 * 1024 - 100];
    assert!(swallow.kiq(fits).on(&app).await.is_ok());

    let long = "x".repeat(300);
    for queue in [long.as_str(), "a.#", "a*", ".a", "taskq.v1.delay.00", "mail.dead", ""] {
        let error = add.kiq(1, 2).queue(queue).on(&app).await.unwrap_err();
        assert!(matches!(error, KiqError::Invalid { option: "queue", .. }), "{queue}: {error}");
    }
    for id in [&"i".repeat(129), "a{b}", "", "tab\t"] {
        let error = add.kiq(1, 2).task_id(id).on(&app).await.unwrap_err();
        assert!(matches!(error, KiqError::Invalid { option: "task_id", .. }), "{id}: {error}");
    }
    for (name, value) in
        [("taskq-x", "1"), ("x-death", "1"), ("", "1"), (long.as_str(), "1"), ("big", &"v".repeat(40_000))]
    {
        let error = add.kiq(1, 2).label(name, value).on(&app).await.unwrap_err();
        assert!(matches!(error, KiqError::Invalid { option: "label", .. }), "{name}: {error}");
    }
    for (option, kiq) in [
        ("delay", add.kiq(1, 2).delay("5 apples")),
        ("expires", add.kiq(1, 2).expires("soon")),
        ("within", add.kiq(1, 2).within("")),
    ] {
        let error = kiq.on(&app).await.unwrap_err();
        assert!(matches!(&error, KiqError::Invalid { option: there, .. } if *there == option), "{error}");
    }
    let error = add.kiq(1, 2).priority(3).on(&app).await.unwrap_err();
    assert!(matches!(error, KiqError::Unsupported { .. }), "{error}");
}

async fn names_with_dots_spaces_and_199_bytes_work(stage: Stage) {
    let names = [stage.queue("a.b"), format!("{} x", stage.queue("space")), format!("{:x<199}", stage.queue("long"))];
    let mut app = stage.app().with_state(Log::default());
    for name in &names {
        app = app.with_queue(QueueSpec::new(name));
    }
    let app = stage.start(app).await;
    for name in &names {
        let handle = add.kiq(2, 2).queue(name).delay("50ms").on(&app).await.unwrap();
        assert_eq!(handle.wait_result().timeout("30s").await.unwrap().into_value().unwrap(), 4, "{name}");
    }
    if !stage.is_memory() {
        let operator = support::operator().await;
        for name in &names {
            operator.delete_with_letters(name).await;
        }
    }
}

async fn an_expired_task_is_not_run(stage: Stage) {
    let log = Log::default();
    let app = stage.idle_app().with_state(log.clone());
    app.startup().await.unwrap();
    let late = note.kiq("late").expires("50ms").on(&app).await.unwrap();
    let in_time = note.kiq("in time").expires("1h").on(&app).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let _app = stage.start(app).await;
    let result = late.wait_result().await.unwrap();
    assert_eq!(result.status(), TaskStatus::Expired);
    assert_eq!(result.attempts(), 0);
    assert!(in_time.wait_result().await.unwrap().is_ok());
    assert_eq!(log.texts(), ["in time"]);
}

async fn a_delayed_task_runs_when_it_is_due_and_not_before(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let began = tokio::time::Instant::now();
    let long = note.kiq("long").delay("1500ms").on(&app).await.unwrap();
    let short = note.kiq("short").delay("300ms").on(&app).await.unwrap();
    let (long, short) = tokio::join!(long.wait_result(), short.wait_result());
    assert!(long.unwrap().is_ok() && short.unwrap().is_ok());
    assert_eq!(log.texts(), ["short", "long"]);
    let waited: Vec<_> = log.times().iter().map(|at| *at - began).collect();
    assert!(waited[0] >= Duration::from_millis(300) && waited[1] >= Duration::from_millis(1500), "{waited:?}");
}

async fn a_second_submission_of_an_id_does_not_run_again(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let id = unique("order");
    for _ in 0..3 {
        let handle = note.kiq("once").task_id(&id).on(&app).await.unwrap();
        assert!(handle.wait_result().await.unwrap().is_ok());
    }
    let after = note.kiq("after").on(&app).await.unwrap();
    assert!(after.wait_result().await.unwrap().is_ok());
    eventually("the queue is empty", || async { app.broker().inspect(&stage.queue).await.unwrap().ready == 0 }).await;
    assert_eq!(log.count("once"), 1);
}

async fn priorities_are_served_highest_first(stage: Stage) {
    let log = Log::default();
    let queue = stage.queue("mail");
    let app = stage.idle_app().with_state(log.clone()).with_queue(QueueSpec::new(&queue).priorities(10));
    app.startup().await.unwrap();
    for priority in [0, 5, 10, 1] {
        note.kiq(&priority.to_string()).queue(&queue).priority(priority).on(&app).await.unwrap();
    }
    let error = note.kiq("11").queue(&queue).priority(11).on(&app).await.unwrap_err();
    assert!(matches!(error, KiqError::Invalid { option: "priority", .. }), "{error}");
    let _app = stage.start_with(app, |worker| worker.concurrency(1)).await;
    eventually("all have run", || async { log.texts().len() == 4 }).await;
    assert_eq!(log.texts(), ["10", "5", "1", "0"]);
}

on_both! {
    a_confirmed_task_gives_its_typed_result,
    a_scope_says_which_app_a_kiq_goes_to,
    a_thousand_calls_are_handed_over_in_one_go_and_in_order,
    kiq_many_hides_nothing_that_was_confirmed,
    a_queue_that_was_not_declared_is_unknown_and_stays_so,
    what_cannot_be_sent_is_refused_with_the_reason,
    names_with_dots_spaces_and_199_bytes_work,
    an_expired_task_is_not_run,
    a_delayed_task_runs_when_it_is_due_and_not_before,
    a_second_submission_of_an_id_does_not_run_again,
    priorities_are_served_highest_first,
}

#[tokio::test]
async fn what_is_wrong_with_the_server_is_said_in_time() {
    let broker = |url: &str| AmqpBroker::new(url).into_app();
    let nobody = broker("amqp://guest:s3cret@127.0.0.1:1/%2f");
    let text = chain(&nobody.startup().await.unwrap_err());
    assert!(text.contains("127.0.0.1:1") && !text.contains("s3cret"), "{text}");

    let began = tokio::time::Instant::now();
    let error: Error = add.kiq(1, 2).within("300ms").on(&nobody).await.unwrap_err().into();
    assert!(!chain(&error).contains("s3cret") && began.elapsed() < Duration::from_secs(30), "{error}");

    let wrong = broker("http://localhost");
    let text = chain(&wrong.startup().await.unwrap_err());
    assert!(text.contains("amqp"), "{text}");

    let denied = taskq_faults::shared::amqp_url().replace("guest:guest", "guest:s3cret");
    let text = chain(&broker(&denied).startup().await.unwrap_err());
    assert!(text.contains("refuses") && !text.contains("s3cret"), "{text}");
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}
