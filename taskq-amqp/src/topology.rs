//! What taskq declares on the server.
//!
//! Arguments cannot be changed later, so only what a queue *is* goes into them; what operators tune (lengths, limits,
//! timeouts) is left to policies. Whatever is ours has a version in its name.

use crate::{
    delay::{self, DELIVER, LEVELS},
    error,
    session::Session,
};
use futures_util::future::try_join_all;
use lapin::{
    Channel, Error, ExchangeKind, Queue,
    options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use std::time::Duration;
use taskq_core::{QueueKind, QueueSpec};
use tokio::time::sleep;

/// Takes what a queue of ours rejects.
const DEAD_LETTERS: &str = "taskq.v1.dlx";

/// Takes what has nowhere to go: without it, 32 such messages would stop all dead-lettering of the queue they come from.
pub(crate) const UNROUTABLE: &str = "taskq.v1.unroutable";

/// Turns off the default limit of RabbitMQ 4, under which twenty give-backs delete a healthy message, and makes what is
/// given back return to its old place instead of the tail.
const DELIVERY_LIMIT: i64 = 1_000_000;

const EXCHANGE: ExchangeDeclareOptions =
    ExchangeDeclareOptions { passive: false, durable: true, auto_delete: false, internal: false, nowait: false };

const QUEUE: QueueDeclareOptions =
    QueueDeclareOptions { passive: false, durable: true, exclusive: false, auto_delete: false, nowait: false };

/// How long a name without a queue is left alone before it gets one.
///
/// RabbitMQ 3 tries to subscribe the consumers of a deleted quorum queue again, and looks for it up to 30 ms after it is
/// gone. If it finds a new one, it never cancels these consumers, gives them messages, and sends none of those: they are
/// held until the channel closes. (`rabbit_channel:handle_consuming_queue_down_or_eol`, and the 30 ms of
/// `rabbit_amqqueue:retry_wait`.)
const NAME_RESTS: Duration = Duration::from_millis(150);

const CHECK: QueueDeclareOptions = QueueDeclareOptions { passive: true, ..QUEUE };

/// Arguments of a queue or an exchange.
#[derive(Default)]
struct Arguments(FieldTable);

impl Arguments {
    fn of(queue_type: &'static str) -> Arguments {
        Arguments::default().text("x-queue-type", queue_type)
    }

    fn text(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name.into(), AMQPValue::LongString(value.into()));
        self
    }

    fn number(mut self, name: &'static str, value: i64) -> Self {
        self.0.insert(name.into(), AMQPValue::LongLongInt(value));
        self
    }

    /// A rejected or expired message is let go of only when its next queue has confirmed it. Needs `reject-publish`.
    fn dead_lettered_safely(self) -> Self {
        self.text("x-dead-letter-strategy", "at-least-once").text("x-overflow", "reject-publish")
    }
}

/// Declares a queue, and what its messages may come to: delays, dead letters.
///
/// A name that is too long for AMQP was refused before.
pub(crate) async fn declare(session: &Session, spec: &QueueSpec) -> Result<(), Error> {
    if spec.kind() == QueueKind::Quorum && is_missing(session, spec.name()).await? {
        sleep(NAME_RESTS).await;
    }
    let (_turn, channel) = &session.channel_in_turn().await?;
    declare_common(channel).await?;
    if spec.is_dead_letters() {
        return declare_dead_letters(channel, spec.name()).await;
    }
    // First, so that a queue that is not there, or is another, leaves no dead-letter queue behind.
    match spec.kind() {
        QueueKind::Existing => check(channel, spec.name()).await.map(drop)?,
        _ => queue(channel, spec.name(), arguments(spec)).await?,
    }
    declare_dead_letters(channel, &spec.dead_letter_name()).await?;
    bind(channel, &spec.dead_letter_name(), DEAD_LETTERS, spec.name()).await?;
    bind_to_delays(channel, spec.name()).await
}

/// Makes sure that what is delayed for this queue reaches it. One that somebody else declared may not be bound yet, and a
/// message that is due for it would go where the unroutable ones go, long after its publish was confirmed.
///
/// On a channel of its own: if there is no such queue, the server closes the channel.
pub(crate) async fn open_to_delays(session: &Session, name: &str) -> Result<(), Error> {
    let (_turn, channel) = session.channel_in_turn().await?;
    check(&channel, name).await?;
    declare_common(&channel).await?;
    bind_to_delays(&channel, name).await?;
    done(&channel).await;
    Ok(())
}

async fn bind_to_delays(channel: &Channel, name: &str) -> Result<(), Error> {
    bind(channel, name, DELIVER, &delay::delivered_key(name)).await
}

fn arguments(spec: &QueueSpec) -> Arguments {
    let arguments = match spec.kind() {
        QueueKind::Classic => Arguments::of("classic").text("x-overflow", "reject-publish"),
        _ => Arguments::of("quorum").number("x-delivery-limit", DELIVERY_LIMIT).dead_lettered_safely(),
    };
    let arguments = match spec.highest_priority() {
        Some(highest) => arguments.number("x-max-priority", highest.into()),
        None => arguments,
    };
    arguments.text("x-dead-letter-exchange", DEAD_LETTERS).text("x-dead-letter-routing-key", spec.name())
}

/// Must never refuse, so it has no bound and no dead letters of its own.
async fn declare_dead_letters(channel: &Channel, name: &str) -> Result<(), Error> {
    queue(channel, name, Arguments::of("quorum").number("x-delivery-limit", DELIVERY_LIMIT)).await
}

async fn declare_common(channel: &Channel) -> Result<(), Error> {
    exchange(channel, UNROUTABLE, ExchangeKind::Fanout, Arguments::default()).await?;
    // Looked through again and again: what is not taken must keep its place, and must never be dropped for it.
    queue(channel, UNROUTABLE, Arguments::of("quorum").number("x-delivery-limit", DELIVERY_LIMIT)).await?;
    bind(channel, UNROUTABLE, UNROUTABLE, "").await?;
    let caught = || Arguments::default().text("alternate-exchange", UNROUTABLE);
    exchange(channel, DEAD_LETTERS, ExchangeKind::Direct, caught()).await?;
    exchange(channel, DELIVER, ExchangeKind::Topic, caught()).await
}

/// Declares the levels that a delayed message passes, on a channel of its own.
pub(crate) async fn declare_levels(session: &Session) -> Result<(), Error> {
    let (_turn, channel) = &session.channel_in_turn().await?;
    declare_common(channel).await?;
    // All at once, for a line may be slow; a step at a time, for what is bound must be there.
    try_join_all(
        (0..LEVELS)
            .map(async |bit| exchange(channel, &delay::level(bit), ExchangeKind::Topic, Arguments::default()).await),
    )
    .await?;
    try_join_all((0..LEVELS).map(async |bit| queue(channel, &delay::level(bit), level_arguments(bit)).await)).await?;
    try_join_all((0..LEVELS).map(async |bit| bind_level(channel, bit).await)).await?;
    done(channel).await;
    Ok(())
}

fn level_arguments(bit: u32) -> Arguments {
    Arguments::of("quorum")
        .dead_lettered_safely()
        .number("x-message-ttl", delay::holds_millis(bit))
        .text("x-dead-letter-exchange", &next_level(bit))
}

/// What must be held here goes into the queue, the rest to the next level.
async fn bind_level(channel: &Channel, bit: u32) -> Result<(), Error> {
    let level = delay::level(bit);
    bind(channel, &level, &level, &delay::held_key(bit)).await?;
    let (from, to, key) = (level.into(), next_level(bit).into(), delay::passed_key(bit).into());
    channel.exchange_bind(to, from, key, ExchangeBindOptions::default(), FieldTable::default()).await
}

fn next_level(bit: u32) -> String {
    if bit == 0 { DELIVER.to_owned() } else { delay::level(bit - 1) }
}

/// Looks at a queue, on a channel of its own: if there is none, the server closes the channel.
pub(crate) async fn look(session: &Session, name: &str) -> Result<Queue, Error> {
    let (_turn, channel) = session.channel_in_turn().await?;
    let queue = check(&channel, name).await?;
    done(&channel).await;
    Ok(queue)
}

async fn is_missing(session: &Session, name: &str) -> Result<bool, Error> {
    match look(session, name).await {
        Ok(_) => Ok(false),
        Err(error) if error::is_not_found(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

async fn done(channel: &Channel) {
    if let Err(error) = channel.close(200, "done".into()).await {
        tracing::debug!(%error, "a channel did not close as it should");
    }
}

async fn check(channel: &Channel, name: &str) -> Result<Queue, Error> {
    channel.queue_declare(short(name), CHECK, FieldTable::default()).await
}

async fn queue(channel: &Channel, name: &str, arguments: Arguments) -> Result<(), Error> {
    channel.queue_declare(short(name), QUEUE, arguments.0).await.map(drop)
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind, arguments: Arguments) -> Result<(), Error> {
    channel.exchange_declare(name.into(), kind, EXCHANGE, arguments.0).await
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), Error> {
    let (queue, exchange, key) = (short(queue), short(exchange), short(key));
    channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await
}

/// A name that was checked to fit.
fn short(name: &str) -> ShortString {
    ShortString::try_new(name).unwrap_or_default()
}
