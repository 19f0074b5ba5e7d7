//! Messages that nobody can read, on RabbitMQ, where anybody can publish anything.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use support::{Stage, operator};
use taskq::{FailureKind, prelude::*};
use taskq_faults::wait::eventually;

#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_garbage_messages_are_dead_lettered_and_the_good_task_runs() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let app = stage.app();
        app.startup().await.unwrap();
        let garbage = (0..1000).map(|i: u32| (i.to_be_bytes().repeat(7), BasicProperties::default()));
        operator().await.publish_raw(&stage.queue, garbage).await;
        let good = add.kiq(1, 2).on(&app).await.unwrap();
        let app = stage.start(app).await;
        assert_eq!(good.wait_result().await.unwrap().into_value().unwrap(), 3);
        let letters = app.dead_letters(&stage.queue);
        eventually("all garbage is dead-lettered", || async { letters.count().await.unwrap() == 1000 }).await;
        let bodies: std::collections::HashSet<_> =
            letters.list(1000).await.unwrap().iter().map(|l| l.body.clone()).collect();
        assert_eq!(bodies.len(), 1000, "every body is kept as it came");
        assert!(letters.list(1).await.unwrap()[0].kind == FailureKind::Undecodable);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_envelope_with_an_id_leaves_a_failure_under_it() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let app = stage.start(stage.app()).await;
        let id = support::unique("damaged");
        let mut headers = FieldTable::default();
        headers.insert("taskq-v".into(), AMQPValue::LongInt(999));
        let properties = BasicProperties::default()
            .with_message_id(id.as_str().into())
            .with_type("somebody.elses".into())
            .with_content_type("application/x-unheard-of".into())
            .with_headers(headers);
        operator().await.publish_raw(&stage.queue, [(b"?".to_vec(), properties)]).await;
        let failure = TaskHandle::<()>::attach(&app, &id).wait_result().await.unwrap().into_value().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Undecodable);
        let letters = app.dead_letters(&stage.queue);
        eventually("it is dead-lettered", || async { letters.count().await.unwrap() == 1 }).await;
    })
    .await;
}

/// The message of a good task, with one thing wrong.
fn spoiled(what: &str, value: AMQPValue) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, number) in [("taskq-v", 1), ("taskq-attempt", 1), ("taskq-retry", 0)] {
        headers.insert(name.into(), AMQPValue::LongInt(number));
    }
    headers.insert(what.into(), value);
    BasicProperties::default()
        .with_message_id(support::unique("spoiled").as_str().into())
        .with_type(concat!(module_path!(), "::add").into())
        .with_content_type("application/json".into())
        .with_headers(headers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_message_it_is_a_dead_letter_with_the_reason_and_good_tasks_run_between() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let app = stage.start(stage.app()).await;
        let fine = || spoiled("mine", AMQPValue::LongInt(0));
        let text = |text: &str| AMQPValue::LongString(text.into());
        let deep = "[".repeat(200_000).into_bytes();
        let garbage: [(&str, Vec<u8>, BasicProperties); 10] = [
            ("taskq-eta", b"{}".to_vec(), spoiled("taskq-eta", text("tomorrow"))),
            ("taskq-eta", b"{}".to_vec(), spoiled("taskq-eta", AMQPValue::LongInt(-1))),
            ("taskq-expires", b"{}".to_vec(), spoiled("taskq-expires", AMQPValue::Boolean(true))),
            ("taskq-attempt", b"{}".to_vec(), spoiled("taskq-attempt", AMQPValue::FieldTable(FieldTable::default()))),
            ("version 99", b"{}".to_vec(), spoiled("taskq-v", AMQPValue::LongInt(99))),
            ("text/html", b"<p>".to_vec(), fine().with_content_type("text/html".into())),
            ("", Vec::new(), fine()),
            ("", deep.clone(), fine()),
            ("", [0x91].repeat(200_000), fine().with_content_type("application/msgpack".into())),
            ("", b"{\"a\":\"one\"}".to_vec(), fine()),
        ];
        let letters = app.dead_letters(&stage.queue);
        for (count, (reason, body, properties)) in (1..).zip(garbage) {
            operator().await.publish_raw(&stage.queue, [(body, properties.clone())]).await;
            let good = add.kiq(1, 2).on(&app).await.unwrap();
            assert_eq!(good.wait_result().timeout("20s").await.unwrap().into_value().unwrap(), 3);
            eventually("it is dead-lettered", || async { letters.count().await.unwrap() == count }).await;
            let id = taskq::TaskId::from(properties.message_id().as_ref().unwrap().as_str());
            let letter = letters.get(&id).await.unwrap().expect("it is found by its id");
            assert_eq!(letter.kind, FailureKind::Undecodable, "{}", letter.error);
            assert!(letter.error.contains(reason), "{} does not speak of {reason}", letter.error);
        }
    })
    .await;
}
