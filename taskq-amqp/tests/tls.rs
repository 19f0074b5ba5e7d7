//! `amqps://`: a server that can be trusted is used, and of any other it is said what is wrong with it.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};
use support::{consume, next, number_of, take_all, to};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, QueueSpec};
use taskq_faults::{
    rabbit::Settings,
    tls::{Role, Scene, TRUSTED},
    wait::PATIENCE,
};

const TEST: &str = "a_server_is_used_if_it_can_be_trusted_and_else_it_is_said_why_not";
const QUEUE: &str = "over-tls";

/// One node for all of it: starting one takes long.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_used_if_it_can_be_trusted_and_else_it_is_said_why_not() {
    if let Some(role) = Role::of_this_process() {
        return act(&role).await;
    }
    let scene = Scene::new();
    let node = listening(&scene).start().await.unwrap();
    scene.play(TEST, &node.url()).await;
}

/// A node that shows a certificate for `localhost`.
fn listening(scene: &Scene) -> Settings {
    let server = scene.authority().certify("localhost");
    Settings::new()
        .conf("listeners.ssl.1", &format!("127.0.0.1:{}", scene.port()))
        .conf("ssl_options.cacertfile", &scene.authority().file().display().to_string())
        .conf("ssl_options.certfile", &server.certificate.display().to_string())
        .conf("ssl_options.keyfile", &server.key.display().to_string())
        .conf("ssl_options.verify", "verify_none")
}

async fn act(Role { client, url }: &Role) {
    let broker = AmqpBroker::new(url);
    match &**client {
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
    Role::learn();
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
