//! Servers end with their owner, however it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};
use taskq_faults::{redis::Redis, wait::eventually};

/// Set in the process that is killed.
const OWNER: &str = "TASKQ_FAULTS_TEST_OWNER";

#[tokio::test]
async fn a_server_ends_when_the_process_of_its_owner_is_killed() {
    if env::var_os(OWNER).is_some() {
        let redis = Redis::start().await.unwrap();
        redis.freeze().unwrap();
        println!("server: {}", redis.process_id().unwrap());
        std::future::pending::<()>().await;
    }
    let mut owner = Command::new(env::current_exe().unwrap());
    owner.args(["--exact", "a_server_ends_when_the_process_of_its_owner_is_killed", "--nocapture"]);
    let mut owner = owner.env(OWNER, "1").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let server = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("server: ")?.1.to_owned())).unwrap();
    // Erlang's or Redis's own name tells that this is no other process of the same number.
    let command = || fs::read_to_string(format!("/proc/{server}/comm")).unwrap_or_default();
    assert!(command().starts_with("redis"), "{}", command());
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the server has ended", async || !command().starts_with("redis")).await;
}

#[tokio::test]
async fn a_server_ends_when_its_test_panics() {
    let redis = Redis::start().await.unwrap();
    let process = redis.process_id().unwrap();
    let test = tokio::spawn(async move {
        let _owned = redis;
        panic!("as a failing test does");
    });
    assert!(test.await.unwrap_err().is_panic());
    assert!(!fs::exists(format!("/proc/{process}")).unwrap());
}
