//! A RabbitMQ that takes no messages for a while: an alarm, a full queue of dead letters. Work goes on, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::time::{Duration, Instant};
use support::{Servers, gate::Gate, ledger::Ledger, unique};
use taskq::{KiqError, prelude::*};
use taskq_faults::{
    rabbit::{Alarm, Client, Rabbit, Settings},
    wait::{PATIENCE, eventually, found},
};
use taskq_process_tests::{
    doubtful::{gated, gated_and_retried},
    nap, nap_and_fail,
};

/// One node for all of it: starting one takes long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_takes_no_messages_workers_go_on_and_nothing_is_lost() {
    let node = Settings::new().dead_letter_timeout(Duration::from_secs(5)).start().await.unwrap();
    at_an_alarm_tasks_are_done_and_acknowledged_retries_wait_and_callers_hear_of_it(&node).await;
    dead_letters_that_are_refused_hold_up_no_other_task_and_arrive_when_there_is_room(&node).await;
}

async fn at_an_alarm_tasks_are_done_and_acknowledged_retries_wait_and_callers_hear_of_it(node: &Rabbit) {
    const TASKS: usize = 5;
    let (queue, gate, ledger) = (unique("alarm"), Gate::closed(), Ledger::new());
    let servers = Servers::shared().with_amqp(node.url());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let handles = app.kiq_many((0..TASKS).map(|_| gated(gate.path()))).await.unwrap();
    let retried = gated_and_retried.kiq(gate.path()).on(&app).await.unwrap();
    let worker = servers.worker(&queue, &ledger, &["--concurrency", "10"]);
    eventually("all run", async || ledger.history().running() == TASKS + 1).await;
    node.set_alarm(Alarm::Disk, true).await.unwrap();

    // The server lets a first publish by, and then says that it takes no more.
    let (blocked, took) = found("a caller hears that publishing is blocked", async || {
        let began = Instant::now();
        match nap.kiq(0).within("1s").on(&app).await {
            Err(error @ KiqError::Blocked { .. }) => Some((error, began.elapsed())),
            Ok(_) | Err(KiqError::Unknown { .. }) => None,
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
    assert!(blocked.is_retryable(), "{blocked:?}");
    assert!(took < Duration::from_secs(10), "a `kiq` within 1 s took {took:?}");
    gate.open();
    for handle in &handles {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok(), "what runs is done during an alarm");
    }
    eventually("the first run of the other is over", async || {
        ledger.history().of(retried.id()).attempt(1).count("end") == 1
    })
    .await;
    // Its retry cannot be published, so its message is the one that is not acknowledged. What a caller got by may be, too.
    let unacknowledged = async || {
        let columns = ["list_queues", "name", "messages_unacknowledged"];
        let queues = node.ctl(&columns).await.unwrap();
        let line = queues.lines().find(|line| line.starts_with(&format!("{queue}\t"))).unwrap();
        line.split('\t').nth(1).unwrap().parse::<usize>().unwrap()
    };
    eventually("all but the one are acknowledged during the alarm", async || unacknowledged().await == 1).await;
    assert_eq!(ledger.history().of(retried.id()).count("start"), 1, "{}", ledger.history());
    node.set_alarm(Alarm::Disk, false).await.unwrap();
    let result = retried.wait_result().timeout(PATIENCE).await.unwrap();
    assert_eq!((result.attempts(), result.is_ok()), (2, true), "the retry is published when the alarm is over");
    assert!(nap.kiq(0).on(&app).await.unwrap().wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    let history = ledger.history().of(retried.id());
    assert_eq!((history.attempt(1).count("start"), history.attempt(2).count("start")), (1, 1), "{history}");
    drop(worker);
    app.shutdown().await.unwrap();
}

async fn dead_letters_that_are_refused_hold_up_no_other_task_and_arrive_when_there_is_room(node: &Rabbit) {
    const FAILING: usize = 8;
    let (queue, ledger) = (unique("full-letters"), Ledger::new());
    let servers = Servers::shared().with_amqp(node.url());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    // As an operator might: taskq itself sets no limit.
    let limit = format!(
        "rabbit_policy:set(<<\"/\">>, <<\"small\">>, <<\"^{queue}.dead$\">>, \
         [{{<<\"max-length\">>, 2}}, {{<<\"overflow\">>, <<\"reject-publish\">>}}], 0, <<\"queues\">>, <<\"guest\">>)"
    );
    assert_eq!(node.eval(&limit).await.unwrap(), "ok");
    let worker = servers.worker(&queue, &ledger, &["--concurrency", "20"]);
    // One after another: a quorum queue lets some more by than it has room for.
    for _ in 0..FAILING {
        let failed = nap_and_fail.kiq(0).on(&app).await.unwrap();
        assert!(failed.wait_result().timeout(PATIENCE).await.unwrap().is_err(), "the failure is known all the same");
    }
    for handle in app.kiq_many((0..50).map(|_| nap(0))).await.unwrap() {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok(), "work flows while letters are refused");
    }
    let (letters, letters_of) = (app.dead_letters(&queue), &*format!("{queue}.dead"));
    let there = letters.count().await.unwrap();
    assert!(there < FAILING as u64, "none was refused: there are {there} letters");
    // As somebody does who looks after dead letters: there is room for two at a time, and for the rest at last.
    let (operator, mut taken) = (Client::of(&node.url()).await, 0);
    eventually("each letter arrives", async || {
        taken += operator.take_out(letters_of, letters_of).await;
        taken >= FAILING
    })
    .await;
    assert_eq!(taken, FAILING, "each arrives once");
    eventually("all is acknowledged", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    assert_eq!(ledger.count("start"), FAILING + 50, "nothing ran twice\n{}", ledger.history());
    drop(worker);
    app.shutdown().await.unwrap();
}
