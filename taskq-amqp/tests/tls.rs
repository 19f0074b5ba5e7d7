//! `amqps://`: a server that can be trusted is used, and of any other it is said what is wrong with it.
//!
//! Whom to trust is read from the environment, which a test cannot change for itself: each client is this test once more,
//! in a process of its own.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/support/certificates.rs"]
mod certificates;
mod support;

use certificates::Authority;
use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};
use support::{PATIENCE, consume, next, node::Node, number_of, take_all, to};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, QueueSpec};
use tokio::process::Command;

const TEST: &str = "a_server_is_used_if_it_can_be_trusted_and_else_it_is_said_why_not";
/// What the client is to do, and at which URL.
const CLIENT: &str = "TASKQ_TEST_TLS_CLIENT";
const URL: &str = "TASKQ_TEST_TLS_URL";
/// What says whom to trust.
const TRUSTED: &str = "SSL_CERT_FILE";
const QUEUE: &str = "over-tls";

/// One node for all of it: starting one takes long.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_used_if_it_can_be_trusted_and_else_it_is_said_why_not() {
    if let Ok(client) = env::var(CLIENT) {
        return act(&client, &env::var(URL).unwrap()).await;
    }
    let (authority, stranger) = (Authority::new(), Authority::new());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let node = Node::start_with(&listening(port, &authority)).await;
    let url = format!("amqps://guest:guest@localhost:{port}/%2f");

    let [number, plain] = [("localhost", "127.0.0.1"), ("amqps", "amqp")].map(|(from, to)| url.replace(from, to));
    let encrypted = node.url().replace("amqp://", "amqps://");
    let (known, unknown) = (authority.file(), stranger.file());
    let late = known.with_extension("late");
    fs::copy(&unknown, &late).unwrap();

    run("trusts", &url, &known).await;
    tokio::join!(
        run("does_not_know_the_authority", &url, &unknown),
        run("learns_of_the_authority_later", &url, &late),
        run("finds_no_authority", &url, Path::new("/no/such/authority.pem")),
        run("finds_another_name", &number, &known),
        run("speaks_without_tls", &plain, &known),
        run("is_answered_without_tls", &encrypted, &known),
    );
}

/// The configuration of a node that shows a certificate for `localhost` on this port.
fn listening(port: u16, authority: &Authority) -> String {
    let server = authority.certify("localhost");
    let (authority, certificate, key) = (authority.file(), server.certificate, server.key);
    format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\nssl_options.verify = verify_none\n",
        authority.display(),
        certificate.display(),
        key.display()
    )
}

/// A client that trusts this authority alone.
async fn run(client: &str, url: &str, trusted: &Path) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).kill_on_drop(true);
    command.env(CLIENT, client).env(URL, url).env(TRUSTED, trusted).env_remove("SSL_CERT_DIR");
    let output = tokio::time::timeout(PATIENCE * 2, command.output()).await.expect("the client did not end").unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "the client that {client}: {}", said.concat());
}

async fn act(client: &str, url: &str) {
    let broker = AmqpBroker::new(url);
    match client {
        "trusts" => messages_travel(&broker).await,
        "does_not_know_the_authority" => is_unreachable(&broker, &["UnknownIssuer", TRUSTED]).await,
        "finds_no_authority" => is_unreachable(&broker, &["/no/such/authority.pem"]).await,
        "finds_another_name" => is_unreachable(&broker, &["not valid for name", "127.0.0.1", "localhost"]).await,
        "speaks_without_tls" => is_unreachable(&broker, &["`amqps://`"]).await,
        "is_answered_without_tls" => is_unreachable(&broker, &["`amqp://`"]).await,
        "learns_of_the_authority_later" => a_publish_outlasts_the_wrong_certificate(&broker).await,
        other => panic!("no client {other}"),
    }
    broker.close().await.unwrap();
}

async fn messages_travel(broker: &AmqpBroker) {
    broker.declare(&QueueSpec::new(QUEUE)).await.unwrap();
    let mut consumer = consume(broker, QUEUE, 10).await;
    let outcomes = broker.publish_many((0..200).map(|number| to(QUEUE, number)).collect()).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    take_all(&mut consumer, 200).await;
    broker.publish(to(QUEUE, 1).delay(Some(Duration::from_millis(200)))).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(number_of(&delivery), 1);
    delivery.ack();
}

/// Trying goes on, and the authorities are read again: the publish gets through when the right one is there.
async fn a_publish_outlasts_the_wrong_certificate(broker: &AmqpBroker) {
    let publishing = tokio::spawn({
        let broker = broker.clone();
        async move { broker.publish(to(QUEUE, 7).within(PATIENCE)).await }
    });
    is_unreachable(broker, &["UnknownIssuer"]).await;
    let trusted = env::var(TRUSTED).unwrap();
    fs::copy(Path::new(&trusted).with_extension("pem"), &trusted).unwrap();
    publishing.await.unwrap().unwrap();
}

/// Every call says why, a publish after it has waited as long as it may.
async fn is_unreachable(broker: &AmqpBroker, why: &[&str]) {
    let queue = QueueSpec::new(QUEUE);
    let (began, within) = (Instant::now(), Duration::from_millis(700));
    let errors = [
        broker.declare(&queue).await.unwrap_err(),
        broker.consume(&queue, 1.try_into().unwrap()).await.map(drop).unwrap_err(),
        broker.publish(to(QUEUE, 1).within(within)).await.unwrap_err(),
    ];
    assert!(began.elapsed() >= within, "a publish waits for the connection as long as it may");
    for error in errors {
        assert!(matches!(error, BrokerError::Unreachable { .. }) && error.is_retryable(), "{error:?}");
        let source = std::error::Error::source(&error).expect("a source").to_string();
        assert!(why.iter().all(|part| source.contains(part)), "{source}");
    }
}
