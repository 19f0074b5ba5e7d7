//! Messages of which there are two, because the confirm of the first was lost on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::future::IntoFuture;
use support::{Servers, gate::Gate, ledger::Ledger, signal, unique};
use taskq::{KiqError, defaults::COPY_WAIT, prelude::*};
use taskq_faults::{
    Proxy,
    proxy::{Method, Rule, Way, Who},
    wait::{PATIENCE, ended, eventually},
};
use taskq_process_tests::{doubtful::gated, nap};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_of_a_message_whose_confirm_was_lost_one_runs_though_two_workers_have_them_at_once() {
    let (queue, servers, ledger, gate) = (unique("twice-sent"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let (app, unsure) = (servers.app(&queue), servers.clone().with_amqp(line.url()).app(&queue));
    app.startup().await.unwrap();
    unsure.startup().await.unwrap();
    let first = servers.worker(&queue, &ledger, &["--concurrency", "1"]);
    let lost = line.add(Rule::lost_confirms());
    let sending = tokio::spawn(gated.kiq(gate.path()).on(&unsure).into_future());
    eventually("the first copy runs", async || ledger.history().running() == 1).await;
    eventually("its confirm is lost", async || lost.hits() > 0).await;
    // It holds two, and takes no third.
    let filler = nap.kiq(0).on(&app).await.unwrap();
    eventually("the first worker is full", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    let second = servers.worker(&queue, &ledger, &["--concurrency", "1"]);
    eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;
    lost.end();
    line.cut(Who::All);
    let handle = ended(sending).await.unwrap().expect("the second copy is confirmed");
    let after = nap.kiq(0).on(&app).await.unwrap();
    let of_task = || ledger.history().of(handle.id());
    eventually("the second worker has seen the second copy", async || {
        ledger.history().of(after.id()).count("end") == 1 || of_task().count("start") == 2
    })
    .await;
    assert_eq!(of_task().count("start"), 1, "both copies run\n{}", ledger.history());
    gate.open();
    for handle in [&handle, &filler, &after] {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    // The second copy was put off; this comes after it.
    let behind = nap.kiq(0).delay(COPY_WAIT * 2).on(&app).await.unwrap();
    assert!(behind.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    for mut worker in [first, second] {
        signal(&worker, "TERM").await;
        assert_eq!(ended(worker.wait()).await.unwrap().code(), Some(0));
    }
    assert_eq!(app.broker().inspect(&queue).await.unwrap().ready, 0, "something was not acknowledged");
    assert_eq!(of_task().count("start"), 1, "{}", ledger.history());
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_may_have_been_sent_and_is_submitted_again_runs_once() {
    let (queue, servers, ledger, gate) = (unique("resent"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let (app, unsure) = (servers.app(&queue), servers.clone().with_amqp(line.url()).app(&queue));
    app.startup().await.unwrap();
    unsure.startup().await.unwrap();
    let worker = servers.worker(&queue, &ledger, &["--concurrency", "4"]);
    line.add(Rule::lost_confirms());
    let unknown = ended(gated.kiq(gate.path()).within("2s").on(&unsure).into_future()).await.unwrap_err();
    let KiqError::Unknown { id, .. } = unknown else { panic!("{unknown:?}") };
    eventually("it runs all the same", async || ledger.history().running() == 1).await;
    let handle = gated.kiq(gate.path()).task_id(id).on(&app).await.unwrap();
    // Both have been seen by the worker when this is done.
    let behind = nap.kiq(0).delay(COPY_WAIT * 2).on(&app).await.unwrap();
    assert!(behind.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    gate.open();
    assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    assert_eq!(ledger.history().of(handle.id()).count("start"), 1, "{}", ledger.history());
    drop(worker);
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_finds_no_queue_leaves_it_open_whether_the_task_was_sent() {
    let (queue, servers) = (unique("gone"), Servers::shared());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let (app, unsure) = (servers.app(&queue), servers.clone().with_amqp(line.url()).app(&queue));
    app.startup().await.unwrap();
    unsure.startup().await.unwrap();
    let lost = line.add(Rule::lost_confirms());
    let sending = tokio::spawn(nap.kiq(0).on(&unsure).into_future());
    eventually("its confirm is lost", async || lost.hits() > 0).await;
    servers.delete(&queue).await;
    lost.end();
    line.cut(Who::All);
    let refused = ended(sending).await.unwrap().unwrap_err();
    assert!(matches!(refused, KiqError::Unknown { .. }), "{refused:?}");
}

/// As a frozen leader of a quorum queue does that is replaced: the channel works, and never confirms what it was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_confirm_never_comes_goes_again_by_another_channel_and_its_task_runs_once() {
    let (queue, servers, ledger) = (unique("unheard-of"), Servers::shared(), Ledger::new());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let (app, unsure) = (servers.app(&queue), servers.clone().with_amqp(line.url()).app(&queue));
    app.startup().await.unwrap();
    unsure.startup().await.unwrap();
    let _worker = servers.worker(&queue, &ledger, &[]);
    let lost = line.add(Rule::lost_confirms().times(1));
    let handle = ended(nap.kiq(0).on(&unsure).into_future()).await.expect("it is confirmed in the end");
    assert_eq!((lost.hits(), line.open(Who::Publishers)), (1, 1), "one confirm was lost, and the line held");
    assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    let behind = nap.kiq(0).delay(COPY_WAIT * 2).on(&app).await.unwrap();
    assert!(behind.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    assert_eq!(ledger.history().of(handle.id()).count("start"), 1, "{}", ledger.history());
    servers.delete(&queue).await;
}

/// It cannot know whether its task was taken. Whoever does its work again uses the id that it had chosen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_a_publisher_that_is_killed_before_it_hears_of_the_confirm_runs_once_when_it_is_submitted_again() {
    let (queue, servers, ledger, id) = (unique("orphaned"), Servers::shared(), Ledger::new(), unique("order"));
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let held = line.add(Rule::hold(Method::BASIC_ACK, Way::ToClient));
    let mut command =
        servers.clone().with_amqp(line.url()).command(env!("CARGO_BIN_EXE_process-test-publisher"), &queue);
    let mut publisher = command.arg(&id).spawn().unwrap();
    eventually("it is confirmed, and the publisher does not hear", async || held.hits() > 0).await;
    assert!(publisher.try_wait().unwrap().is_none(), "the publisher has heard");
    publisher.kill().await.unwrap();
    assert_eq!(app.broker().inspect(&queue).await.unwrap().ready, 1, "the task is there");
    let handle = nap.kiq(0).task_id(id).on(&app).await.unwrap();
    let workers = [servers.worker(&queue, &ledger, &[]), servers.worker(&queue, &ledger, &[])];
    assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    let behind = nap.kiq(0).delay(COPY_WAIT * 2).on(&app).await.unwrap();
    assert!(behind.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    assert_eq!(app.broker().inspect(&queue).await.unwrap().ready, 0);
    assert_eq!(ledger.history().of(handle.id()).count("start"), 1, "both copies ran\n{}", ledger.history());
    drop(workers);
    servers.delete(&queue).await;
}
