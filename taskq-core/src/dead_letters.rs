//! Looking at dead letters, and sending them on their way again.

use crate::{
    app::App,
    broker::Publish,
    clock::UnixMillis,
    delivery::{Consumer, Delivery},
    error::BrokerError,
    failure::FailureKind,
    handle::TaskHandle,
    id::TaskId,
    message::{Content, Epitaph, Labels, Message},
    queue::QueueSpec,
};
use bytes::Bytes;
use std::{num::NonZeroU16, time::Duration};

/// How long the next letter may take to come. Fewer come than were counted only if somebody else takes some meanwhile.
const NEXT_LETTER: Duration = Duration::from_secs(10);
/// How often, and how far apart, it is looked whether letters are back.
const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// One message that was given up on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use taskq::{DeadLetter, FailureKind, prelude::*};
/// # use taskq::{BoxError, Run, Task, TaskConfig};
/// # struct SendMail;
/// # impl Task for SendMail { type Args = String; type Output = String; type Returns = String; const NAME: &'static str = "mail.send"; const CONFIG: TaskConfig = TaskConfig::new().queue("mail"); }
/// # impl Run for SendMail { async fn run(ctx: TaskContext, to: String) -> Result<String, BoxError> { if ctx.message().round == 0 { Err("smtp is down".into()) } else { Ok(to) } } }
/// # fn send_mail(to: &str) -> Call<SendMail> { Call::new(to.to_owned()) }
/// # let broker = InMemoryBroker::new();
/// # let app = broker.clone().register::<SendMail>();
/// /// Whether it is worth another try.
/// fn is_worth_a_replay(letter: &DeadLetter) -> bool {
///     match letter.kind {
///         FailureKind::Error | FailureKind::Timeout => letter.round < 3,
///         _ => false,
///     }
/// }
///
/// send_mail("ada@example.org").kiq().task_id("mail-17").on(&app).await?;
/// broker.wait_idle().await;
/// let letter = app.dead_letters("mail").get("mail-17").await?.unwrap();
/// assert_eq!((letter.task.as_str(), letter.error.as_str(), letter.attempts), ("mail.send", "smtp is down", 1));
/// assert!(is_worth_a_replay(&letter));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The task's id, if it could be read.
    pub id: Option<TaskId>,
    /// The task's name; empty if it could not be read.
    pub task: String,
    /// The queue that it comes from.
    pub queue: String,
    /// What kind of end it came to.
    pub kind: FailureKind,
    /// The error of the last run.
    pub error: String,
    /// The error's sources, outermost first.
    pub chain: Vec<String>,
    /// How many runs there were.
    pub attempts: u32,
    /// How often it was replayed.
    pub round: u32,
    /// When it first failed, if known.
    pub first_failed: Option<UnixMillis>,
    /// When it last failed, if known.
    pub last_failed: Option<UnixMillis>,
    /// Its labels, or the headers of a message that could not be read.
    pub labels: Labels,
    /// Its body, untouched.
    pub body: Bytes,
}

impl DeadLetter {
    pub(crate) fn new(content: &Content, epitaph: Option<&Epitaph>, queue: &str) -> Self {
        let failure = epitaph.map(|epitaph| &epitaph.failure);
        let (task, round, labels) = match content {
            Content::Task(message) => (message.task.to_string(), message.round, message.labels.clone()),
            Content::Foreign(foreign) => (String::new(), 0, foreign.headers.clone()),
        };
        DeadLetter {
            id: content.id().cloned(),
            task,
            queue: epitaph.map_or_else(|| queue.to_owned(), |epitaph| epitaph.queue.clone()),
            kind: failure.map_or(FailureKind::Unknown, |failure| failure.kind),
            error: failure.map(|failure| failure.message.clone()).unwrap_or_default(),
            chain: failure.map(|failure| failure.chain.clone()).unwrap_or_default(),
            attempts: failure.map_or(0, |failure| failure.attempts),
            round,
            first_failed: epitaph.map(|epitaph| epitaph.first_failed),
            last_failed: epitaph.map(|epitaph| epitaph.last_failed),
            labels,
            body: content.body().clone(),
        }
    }
}

/// The dead letters of one queue. See [`App::dead_letters`].
///
/// ```
/// # use taskq::App;
/// # async fn example(app: App) -> taskq::Result<()> {
/// let letters = app.dead_letters("mail");
/// for letter in letters.list(100).await? {
///     println!("{:?} {}: {} after {} runs", letter.id, letter.task, letter.error, letter.attempts);
/// }
/// if let Some(again) = letters.replay("order-17").await? {
///     again.wait_result().await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct DeadLetters {
    app: App,
    queue: String,
}

impl DeadLetters {
    pub(crate) fn new(app: App, queue: String) -> Self {
        DeadLetters { app, queue }
    }

    /// How many there are. Resolves when the broker has told; cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct SendMail;
    /// # impl Task for SendMail { type Args = String; type Output = String; type Returns = String; const NAME: &'static str = "mail.send"; const CONFIG: TaskConfig = TaskConfig::new().queue("mail"); }
    /// # impl Run for SendMail { async fn run(ctx: TaskContext, to: String) -> Result<String, BoxError> { if ctx.message().round == 0 { Err("smtp is down".into()) } else { Ok(to) } } }
    /// # fn send_mail(to: &str) -> Call<SendMail> { Call::new(to.to_owned()) }
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<SendMail>();
    /// app.kiq_many([send_mail("ada@example.org"), send_mail("bob@example.org")]).await?;
    /// broker.wait_idle().await;
    /// assert_eq!(app.dead_letters("mail").count().await?, 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What keeps the broker from telling; [`BrokerError::Unroutable`] if there is no such queue.
    pub async fn count(&self) -> Result<u64, BrokerError> {
        Ok(self.app.broker().inspect(self.spec().name()).await?.ready)
    }

    /// The oldest letters, at most `limit` (and at most 65,535). They stay where they are.
    ///
    /// Resolves when they are all read and put back, or when the next one does not come within 2 s, since others may
    /// take letters too. Cancel safe: letters in hand go back.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct SendMail;
    /// # impl Task for SendMail { type Args = String; type Output = String; type Returns = String; const NAME: &'static str = "mail.send"; const CONFIG: TaskConfig = TaskConfig::new().queue("mail"); }
    /// # impl Run for SendMail { async fn run(ctx: TaskContext, to: String) -> Result<String, BoxError> { if ctx.message().round == 0 { Err("smtp is down".into()) } else { Ok(to) } } }
    /// # fn send_mail(to: &str) -> Call<SendMail> { Call::new(to.to_owned()) }
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<SendMail>();
    /// app.kiq_many([send_mail("ada@example.org"), send_mail("bob@example.org")]).await?;
    /// broker.wait_idle().await;
    /// for letter in app.dead_letters("mail").list(100).await? {
    ///     println!("{} {}: {} ({})", letter.task, letter.kind, letter.error, letter.attempts);
    /// }
    /// # let listed = app.dead_letters("mail").list(1).await?;
    /// # assert_eq!((listed.len(), app.dead_letters("mail").count().await?), (1, 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`DeadLetters::count`].
    pub async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let mut held = Vec::new();
        let mut visit = self.visit(limit).await?;
        while let Some(delivery) = visit.next().await? {
            held.push(delivery);
        }
        let letter = |held: &Delivery| DeadLetter::new(&held.content, held.epitaph.as_deref(), &self.queue);
        let letters = held.iter().map(letter).collect();
        self.leave(visit, held).await;
        Ok(letters)
    }

    /// The letter of this id, if it is among the oldest 65,535. It stays where it is. Resolves and may be dropped as
    /// [`DeadLetters::list`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct SendMail;
    /// # impl Task for SendMail { type Args = String; type Output = String; type Returns = String; const NAME: &'static str = "mail.send"; const CONFIG: TaskConfig = TaskConfig::new().queue("mail"); }
    /// # impl Run for SendMail { async fn run(ctx: TaskContext, to: String) -> Result<String, BoxError> { if ctx.message().round == 0 { Err("smtp is down".into()) } else { Ok(to) } } }
    /// # fn send_mail(to: &str) -> Call<SendMail> { Call::new(to.to_owned()) }
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<SendMail>();
    /// send_mail("ada@example.org").kiq().task_id("mail-17").on(&app).await?;
    /// broker.wait_idle().await;
    /// let letters = app.dead_letters("mail");
    /// let letter = letters.get("mail-17").await?.unwrap();
    /// println!("{} bytes of arguments, labels {:?}", letter.body.len(), letter.labels);
    /// assert!(letters.get("mail-18").await?.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`DeadLetters::count`].
    pub async fn get(&self, id: impl Into<TaskId>) -> Result<Option<DeadLetter>, BrokerError> {
        let (mut visit, mut held) = (self.visit(usize::MAX).await?, Vec::new());
        let found = visit.find(&id.into(), &mut held).await?;
        let letter = found.as_ref().map(|found| DeadLetter::new(&found.content, found.epitaph.as_deref(), &self.queue));
        held.extend(found);
        self.leave(visit, held).await;
        Ok(letter)
    }

    /// Sends a letter back to its queue as a first attempt of the next round, and takes it out of the dead letters once
    /// that is confirmed. Gives a handle that waits for the new round's result, or `None` if there is no such letter
    /// among the oldest 65,535.
    ///
    /// Dropping the future leaves open whether it was sent. A letter that was sent may then still be there.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct SendMail;
    /// # impl Task for SendMail { type Args = String; type Output = String; type Returns = String; const NAME: &'static str = "mail.send"; const CONFIG: TaskConfig = TaskConfig::new().queue("mail"); }
    /// # impl Run for SendMail { async fn run(ctx: TaskContext, to: String) -> Result<String, BoxError> { if ctx.message().round == 0 { Err("smtp is down".into()) } else { Ok(to) } } }
    /// # fn send_mail(to: &str) -> Call<SendMail> { Call::new(to.to_owned()) }
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<SendMail>();
    /// send_mail("ada@example.org").kiq().task_id("mail-17").on(&app).await?;
    /// broker.wait_idle().await;
    /// // Once the mail server is up again:
    /// let again = app.dead_letters("mail").replay("mail-17").await?.unwrap();
    /// let sent_to: String = again.typed().wait_result().await?.into_value()?;
    /// assert_eq!(sent_to, "ada@example.org");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`DeadLetters::count`], whatever keeps the message from being published, and [`BrokerError::Other`] for a
    /// letter whose envelope could not be read. The letter is then still there.
    pub async fn replay(&self, id: impl Into<TaskId>) -> Result<Option<TaskHandle<()>>, BrokerError> {
        let id = id.into();
        let (mut visit, mut held) = (self.visit(usize::MAX).await?, Vec::new());
        let round = match visit.find(&id, &mut held).await? {
            Some(letter) => Some(self.send_again(letter).await?),
            None => None,
        };
        self.leave(visit, held).await;
        Ok(round.map(|round| TaskHandle::new(self.app.clone(), id, true).of_round(round)))
    }

    /// Replays the oldest letters, at most `limit` (and at most 65,535); says how many were sent. Letters that could
    /// not be read stay. Dropping the future leaves open how many were sent, as with [`DeadLetters::replay`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct SendMail;
    /// # impl Task for SendMail { type Args = String; type Output = String; type Returns = String; const NAME: &'static str = "mail.send"; const CONFIG: TaskConfig = TaskConfig::new().queue("mail"); }
    /// # impl Run for SendMail { async fn run(ctx: TaskContext, to: String) -> Result<String, BoxError> { if ctx.message().round == 0 { Err("smtp is down".into()) } else { Ok(to) } } }
    /// # fn send_mail(to: &str) -> Call<SendMail> { Call::new(to.to_owned()) }
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<SendMail>();
    /// app.kiq_many(["ada", "bob", "cyd"].map(send_mail)).await?;
    /// broker.wait_idle().await;
    /// let letters = app.dead_letters("mail");
    /// assert_eq!(letters.replay_all(2).await?, 2);
    /// broker.wait_idle().await;
    /// assert_eq!(letters.count().await?, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`DeadLetters::replay`]. Those sent before the error are on their way.
    pub async fn replay_all(&self, limit: usize) -> Result<usize, BrokerError> {
        let mut visit = self.visit(limit).await?;
        let (mut sent, mut unreadable) = (0, Vec::new());
        while let Some(delivery) = visit.next().await? {
            if matches!(delivery.content, Content::Foreign(_)) {
                unreadable.push(delivery);
                continue;
            }
            self.send_again(delivery).await?;
            sent += 1;
        }
        self.leave(visit, unreadable).await;
        Ok(sent)
    }

    async fn send_again(&self, delivery: Delivery) -> Result<u32, BrokerError> {
        let queue = delivery.epitaph.as_ref().map_or(self.queue.as_str(), |epitaph| epitaph.queue.as_str());
        let Content::Task(message) = &delivery.content else {
            return Err(BrokerError::other("this letter's envelope could not be read, so it cannot be sent again"));
        };
        let message = Message {
            attempt: 1,
            round: message.round.saturating_add(1),
            eta: None,
            expires: None,
            first_failed: None,
            unknown: 0,
            republished: false,
            ..(**message).clone()
        };
        let round = message.round;
        self.app.broker().publish(Publish::new(queue, message)).await?;
        delivery.ack();
        Ok(round)
    }

    /// Puts back what was held, and waits a little until it can be seen again: a look that follows at once would miss
    /// it.
    async fn leave(&self, visit: Visit, held: Vec<Delivery>) {
        let (count, before) = (held.len() as u64, self.count().await.unwrap_or(0));
        // The consumer goes first, so that what is put back does not come straight to it again.
        drop(visit);
        drop(held);
        for _ in 0..LOOKS {
            match self.count().await {
                Ok(now) if now < before + count => tokio::time::sleep(LOOK_AGAIN).await,
                _ => return,
            }
        }
    }

    fn spec(&self) -> QueueSpec {
        QueueSpec::new(&self.queue).dead_letters()
    }

    async fn visit(&self, limit: usize) -> Result<Visit, BrokerError> {
        let ready = self.count().await?.min(limit as u64).min(u16::MAX.into());
        let prefetch = u16::try_from(ready).ok().and_then(NonZeroU16::new);
        let consumer = match prefetch {
            Some(prefetch) => Some(self.app.broker().consume(&self.spec(), prefetch).await?),
            None => None,
        };
        Ok(Visit { consumer, left: ready })
    }
}

/// A walk through the letters that were there when it began. Letters that are dropped stay in the queue.
struct Visit {
    consumer: Option<Consumer>,
    left: u64,
}

impl Visit {
    /// The letter of this id; those before it are held, so that they do not come again.
    async fn find(&mut self, id: &TaskId, held: &mut Vec<Delivery>) -> Result<Option<Delivery>, BrokerError> {
        while let Some(delivery) = self.next().await? {
            if delivery.content.id() == Some(id) {
                return Ok(Some(delivery));
            }
            held.push(delivery);
        }
        Ok(None)
    }

    async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let Some(consumer) = self.consumer.as_mut().filter(|_| self.left > 0) else { return Ok(None) };
        self.left -= 1;
        match tokio::time::timeout(NEXT_LETTER, consumer.next()).await {
            Ok(delivery) => Ok(delivery),
            Err(_) => Ok(None),
        }
    }
}
