//! Headers near the limit of what one frame of RabbitMQ's protocol holds: a larger one would end the connection, for all that
//! publish on it, and again whenever the message is sent again.

#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::{error::Error, fmt};
use support::Stage;
use taskq::{KiqError, prelude::*};
use taskq_faults::wait::eventually;

#[task]
async fn one() -> u8 {
    1
}

/// An error of many layers, each full of bytes that JSON writes in six.
#[derive(Debug)]
struct Garbled(Option<Box<Garbled>>);

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:p}{}", self, "\u{1}".repeat(4_000))
    }
}

impl Error for Garbled {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|inner| inner as _)
    }
}

#[task]
async fn garbled() -> Result<(), Garbled> {
    Err((0..9).fold(Garbled(None), |inner, _| Garbled(Some(Box::new(inner)))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_chain_too_long_for_a_frame_is_shortened_in_the_dead_letter() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let app = stage.start(stage.app()).await;
        garbled.kiq().on(&app).await.unwrap();
        let dead = app.dead_letters(&stage.queue);
        eventually("the dead letter is there", || async { matches!(dead.count().await, Ok(1)) }).await;
        let letter = dead.list(1).await.unwrap().remove(0);
        assert!(letter.error.contains('\u{1}'));
        assert!(!letter.chain.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_that_do_not_fit_a_frame_are_refused_at_once() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let broker = AmqpBroker::new(format!("{}?frame_max=8192", taskq_faults::shared::amqp_url()));
        let app = broker.with_default_queue(&stage.queue);
        let error = one.kiq().label("tenant", "x".repeat(10_000)).on(&app).await.unwrap_err();
        assert!(matches!(error, KiqError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("labels"), "{error}");
        one.kiq().label("tenant", "x".repeat(4_000)).on(&app).await.unwrap();
    })
    .await;
}
