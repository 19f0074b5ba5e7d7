//! Servers whose answers get lost or are refusals: what was done is known, and what was not done is done later.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use futures_util::future::join_all;
use std::time::Duration;
use support::{TTL, record};
use taskq_core::{Bid, ClaimAnswer, End, ResultBackend, ResultError, RunId, TaskId};
use taskq_faults::{
    proxy::{Line, Proxy, Way, Who},
    redis::{Redis, Settings},
    wait::{ended, eventually},
};
use taskq_redis_results::RedisResults;

/// A backend behind a line that can be spoiled, and one beside it.
async fn behind_line(server: &Redis) -> (Proxy, RedisResults, RedisResults) {
    let line = Proxy::redis(&server.url()).unwrap();
    let (spoiled, beside) = (RedisResults::new(line.url()), RedisResults::new(server.url()));
    spoiled.startup().await.unwrap();
    (line, spoiled, beside)
}

#[tokio::test]
async fn a_record_whose_reply_is_lost_is_stored_once_and_not_taken_for_that_of_another_run() {
    let server = Redis::start().await.unwrap();
    let (line, results, beside) = behind_line(&server).await;
    for round in [0, 1] {
        let (id, kept) = (TaskId::new(), record(round));
        let lost = line.lose_reply(id.as_str());
        let earlier = ended(results.store(&id, &kept, TTL)).await.unwrap();
        assert!(lost.has_happened(), "no reply was lost");
        // Somebody's record of the same round would be told to the caller, whose outcome would not count then.
        assert!(earlier.is_none_or(|earlier| earlier == kept), "its own record is taken for another's");
        assert_eq!(beside.fetch(&id).await.unwrap(), Some(kept));
    }
}

#[tokio::test]
async fn a_claim_whose_reply_is_lost_is_had_by_whoever_asks_again_and_by_nobody_else() {
    let server = Redis::start().await.unwrap();
    let (line, results, beside) = behind_line(&server).await;
    let run = RunId { task: TaskId::new(), round: 0, attempt: 1 };
    let lost = line.lose_reply(run.task.as_str());
    let bid = Bid::new(run.clone(), "one");
    let claim = match ended(results.claim(&bid)).await.unwrap() {
        Some(ClaimAnswer::Run(claim)) => claim,
        answer => panic!("it cannot have what it has taken: {answer:?}"),
    };
    assert!(lost.has_happened(), "no reply was lost");
    let rival = beside.claim(&Bid::new(run, "another")).await.unwrap();
    assert!(matches!(rival, Some(ClaimAnswer::Elsewhere { .. })), "{rival:?}");
    assert!(!claim.is_lost());
}

/// What it is asked waits until it has read its log.
#[tokio::test]
async fn a_server_that_is_loading_is_waited_for_and_a_wait_is_woken_after_it() {
    let slow = Settings::new().option("key-load-delay", "150").option("loading-process-events-interval-bytes", "1024");
    let mut server = slow.start().await.unwrap();
    let fill = "for i = 1, 20000 do redis.call('SET', 'filler:' .. i, i) end";
    server.command(&["EVAL", fill, "0"]).await.unwrap();
    let results = RedisResults::new(server.url());
    let (before, waited, kept) = (TaskId::new(), TaskId::new(), record(0));
    results.store(&before, &kept, TTL).await.unwrap();
    let mut wait = results.wait(&waited, 0);
    assert!(tokio::time::timeout(Duration::from_millis(400), &mut wait).await.is_err());
    server.kill();
    server.launch().unwrap();
    let loading = async || match server.command(&["GET", "filler:1"]).await {
        Err(refusal) => refusal.to_string().contains("LOADING"),
        Ok(_) => panic!("it has loaded before it was asked"),
    };
    eventually("it says that it is loading", loading).await;
    let stored = ended(async {
        loop {
            match results.store(&waited, &kept, TTL).await {
                Ok(earlier) => break earlier,
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
    });
    assert_eq!(stored.await, None);
    assert_eq!(ended(wait).await.unwrap(), kept);
    assert_eq!(ended(results.fetch(&before)).await.unwrap(), Some(kept));
}

#[tokio::test]
async fn a_server_without_memory_refuses_what_is_stored_and_takes_it_once_it_has_some() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    let (before, refused, kept) = (TaskId::new(), TaskId::new(), record(0));
    results.store(&before, &kept, TTL).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let error = ended(results.store(&refused, &kept, TTL)).await.unwrap_err();
    assert!(matches!(error, ResultError::Store { .. }) && error.is_retryable(), "{error:?}");
    assert_eq!(results.fetch(&before).await.unwrap(), Some(kept.clone()), "what is there can be read");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    assert_eq!(ended(results.store(&refused, &kept, TTL)).await.unwrap(), None);
}

#[tokio::test]
async fn a_line_that_loses_one_way_alone_is_given_up_and_replaced() {
    let server = Redis::start().await.unwrap();
    for way in [Way::ToServer, Way::ToClient] {
        let (line, results, beside) = behind_line(&server).await;
        let (id, kept) = (TaskId::new(), record(0));
        line.line(Who::All, way, Line::Stall);
        let error = ended(results.store(&id, &kept, TTL)).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        line.reset(Who::All);
        line.heal();
        let again = ended(results.store(&id, &kept, TTL)).await.unwrap();
        assert!(again.is_none_or(|earlier| earlier == kept), "{way:?}");
        assert_eq!(beside.fetch(&id).await.unwrap(), Some(kept), "{way:?}");
    }
}

/// A reply to all of them would take longer than any may; on the slower line even one to the first few.
#[tokio::test]
async fn many_large_results_come_over_a_slow_line_to_all_who_wait() {
    const BYTES: usize = 256 * 1024;
    let server = Redis::start().await.unwrap();
    let mut large = record(0);
    large.end = End::Done(vec![7; BYTES].into());
    for (count, a_second) in [(128, 16), (32, 3)] {
        let (line, results, beside) = behind_line(&server).await;
        let ids: Vec<TaskId> = (0..count).map(|_| TaskId::new()).collect();
        for id in &ids {
            beside.store(id, &large, TTL).await.unwrap();
        }
        line.line(Who::All, Way::ToClient, Line::Throttle(a_second * BYTES as u64));
        let waited = ended(join_all(ids.iter().map(|id| results.wait(id, 0)))).await;
        assert!(waited.iter().all(|waited| waited.as_ref().is_ok_and(|waited| *waited == large)));
    }
}
