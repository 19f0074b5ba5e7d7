//! `rediss://`: a server that can be trusted is used, and of any other it is said what is wrong with it.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::error::Error;
use support::{TTL, record};
use taskq_conformance::{NotPassed, RESULTS_CASES, ResultsHarness, check_results};
use taskq_core::{ResultBackend, ResultError, TaskId};
use taskq_faults::{
    redis::Settings,
    tls::{Role, Scene, TRUSTED},
    wait::ended,
};
use taskq_redis_results::RedisResults;

const TEST: &str = "a_server_is_used_if_it_can_be_trusted_and_else_it_is_said_why_not";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_used_if_it_can_be_trusted_and_else_it_is_said_why_not() {
    if let Some(role) = Role::of_this_process() {
        return act(&role).await;
    }
    let scene = Scene::new();
    let server = serving(&scene).start().await.unwrap();
    scene.play(TEST, &server.url()).await;
}

/// A server that shows a certificate for `localhost`.
fn serving(scene: &Scene) -> Settings {
    let certified = scene.authority().certify("localhost");
    Settings::new()
        .option("tls-port", &scene.port().to_string())
        .option("tls-auth-clients", "no")
        .option("tls-ca-cert-file", scene.authority().file().to_str().unwrap())
        .option("tls-cert-file", certified.certificate.to_str().unwrap())
        .option("tls-key-file", certified.key.to_str().unwrap())
}

async fn act(Role { client, url }: &Role) {
    match &**client {
        "trusts" => keeps_the_contract(url).await,
        "learns_of_the_authority_later" => a_wait_outlasts_the_wrong_certificate(&RedisResults::new(url)).await,
        "does_not_know_the_authority" => is_away(url, &["UnknownIssuer", TRUSTED]).await,
        "finds_no_authority" => is_away(url, &["/no/such/authority.pem"]).await,
        "finds_another_name" => is_away(url, &["not valid for name", "127.0.0.1", "localhost"]).await,
        "speaks_without_tls" => is_away(url, &["`rediss://`"]).await,
        // A Redis without TLS waits for the end of what it takes for a command.
        "is_answered_without_tls" => is_away(url, &["timed out"]).await,
        other => panic!("no client {other}"),
    }
}

struct Encrypted(String, TaskId);

impl ResultsHarness for Encrypted {
    type Results = RedisResults;

    async fn connect(&self) -> RedisResults {
        RedisResults::new(&self.0).prefix(&format!("taskq-test-{}", self.1))
    }
}

async fn keeps_the_contract(url: &str) {
    for case in RESULTS_CASES {
        let end = check_results(Encrypted(url.to_owned(), TaskId::new()), case).await;
        assert_eq!(end, Ok::<(), NotPassed>(()), "{case}");
    }
}

/// Trying goes on, and the authorities are read again: the wait ends when the right one is there.
async fn a_wait_outlasts_the_wrong_certificate(results: &RedisResults) {
    let (id, record) = (TaskId::new(), record(0));
    let waiting = tokio::spawn({
        let (results, id) = (results.clone(), id.clone());
        async move { results.wait(&id, 0).await }
    });
    results.startup().await.unwrap_err();
    assert!(!waiting.is_finished());
    Role::learn();
    results.store(&id, &record, TTL).await.unwrap();
    assert_eq!(ended(waiting).await.unwrap().unwrap(), record);
}

/// Every call says why.
async fn is_away(url: &str, why: &[&str]) {
    let results = RedisResults::new(url);
    let errors = [results.startup().await.unwrap_err(), results.fetch(&TaskId::new()).await.map(drop).unwrap_err()];
    for error in errors {
        assert!(matches!(error, ResultError::Store { .. }), "{error:?}");
        let source = error.source().expect("a source").to_string();
        assert!(why.iter().all(|part| source.contains(part)), "{source}");
    }
}
