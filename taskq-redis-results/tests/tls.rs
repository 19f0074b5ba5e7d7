//! `rediss://`: a server that can be trusted is used, and of any other it is said what is wrong with it.
//!
//! Whom to trust is read from the environment, which a test cannot change for itself: each client is this test once more,
//! in a process of its own.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tests/support/certificates.rs"]
mod certificates;
mod support;

use certificates::Authority;
use std::{env, error::Error, fs, net::TcpListener, path::Path};
use support::{HUNG, Server, TTL, ended, record};
use taskq_conformance::{NotPassed, RESULTS_CASES, ResultsHarness, check_results};
use taskq_core::{ResultBackend, ResultError, TaskId};
use taskq_redis_results::RedisResults;
use tokio::{process::Command, time::timeout};

const TEST: &str = "a_server_is_used_if_it_can_be_trusted_and_else_it_is_said_why_not";
/// What the client is to do, and at which URL.
const CLIENT: &str = "TASKQ_TEST_TLS_CLIENT";
const URL: &str = "TASKQ_TEST_TLS_URL";
/// What says whom to trust.
const TRUSTED: &str = "SSL_CERT_FILE";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_used_if_it_can_be_trusted_and_else_it_is_said_why_not() {
    if let Ok(client) = env::var(CLIENT) {
        return act(&client, &env::var(URL).unwrap()).await;
    }
    let (authority, stranger) = (Authority::new(), Authority::new());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = serving(port, &authority).await;
    let url = format!("rediss://localhost:{port}");
    let [number, plain] = [("localhost", "127.0.0.1"), ("rediss", "redis")].map(|(from, to)| url.replace(from, to));
    let encrypted = server.url().replace("redis://", "rediss://");
    let (known, unknown) = (authority.file(), stranger.file());
    let late = known.with_extension("late");
    fs::copy(&unknown, &late).unwrap();

    tokio::join!(
        run("keeps_the_contract", &url, &known),
        run("does_not_know_the_authority", &url, &unknown),
        run("learns_of_the_authority_later", &url, &late),
        run("finds_no_authority", &url, Path::new("/no/such/authority.pem")),
        run("finds_another_name", &number, &known),
        run("speaks_without_tls", &plain, &known),
        run("is_answered_without_tls", &encrypted, &known),
    );
}

/// A server that shows a certificate for `localhost` on this port, besides the port without TLS that it has anyway.
async fn serving(port: u16, authority: &Authority) -> Server {
    let certified = authority.certify("localhost");
    let [authority, certificate, key] =
        [authority.file(), certified.certificate, certified.key].map(|file| file.to_str().unwrap().to_owned());
    let files = ["--tls-ca-cert-file", &authority, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let port = port.to_string();
    Server::start(&[&["--tls-port", &port, "--tls-auth-clients", "no"][..], &files].concat()).await
}

/// A client that trusts this authority alone.
async fn run(client: &str, url: &str, trusted: &Path) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).kill_on_drop(true);
    command.env(CLIENT, client).env(URL, url).env(TRUSTED, trusted).env_remove("SSL_CERT_DIR");
    let output = timeout(HUNG * 2, command.output()).await.expect("the client did not end").unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "the client that {client}: {}", said.concat());
}

async fn act(client: &str, url: &str) {
    match client {
        "keeps_the_contract" => keeps_the_contract(url).await,
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
    let (id, record, trusted) = (TaskId::new(), record(0), env::var(TRUSTED).unwrap());
    let waiting = tokio::spawn({
        let (results, id) = (results.clone(), id.clone());
        async move { results.wait(&id, 0).await }
    });
    results.startup().await.unwrap_err();
    assert!(!waiting.is_finished());
    fs::copy(Path::new(&trusted).with_extension("pem"), &trusted).unwrap();
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
