//! What a case works with: connections, queues and consumers whose every wait has a limit.

use crate::{
    CaseResult, Harness, NotPassed, eventually,
    messages::{message_of, number_of, task},
};
use futures_util::FutureExt;
use std::{
    fmt,
    num::NonZeroU16,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use taskq_core::{Broker, BrokerError, Capabilities, Consumer, Delivery, Message, Publish, QueueInfo, QueueSpec};
use tokio::{task::JoinSet, time::timeout};

/// How long a case watches for what must not happen. A right broker passes whatever this is.
const QUIET: Duration = Duration::from_millis(300);

/// One run of one case: its harness, and all that it opened and must clean up.
pub(crate) struct Scene<H: Harness> {
    harness: H,
    connections: Mutex<Vec<Arc<H::Broker>>>,
    queues: Mutex<Vec<String>>,
}

impl<H: Harness> Scene<H> {
    pub(crate) fn new(harness: H) -> Self {
        Scene { harness, connections: Mutex::default(), queues: Mutex::default() }
    }

    pub(crate) fn harness(&self) -> &H {
        &self.harness
    }

    pub(crate) fn patience(&self) -> Duration {
        self.harness.patience()
    }

    pub(crate) async fn connect(&self) -> CaseResult<Connection<H::Broker>> {
        let broker = within(self.patience(), "connecting", self.harness.connect()).await?;
        let broker = Arc::new(broker);
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(broker.clone());
        Ok(Connection { broker, patience: self.patience() })
    }

    /// A fresh name, cleaned up after the case.
    pub(crate) fn name(&self, label: &str) -> String {
        self.keep(self.harness.queue(label))
    }

    /// Cleans up this name after the case.
    pub(crate) fn keep(&self, name: String) -> String {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        name
    }

    pub(crate) fn spec(&self, name: &str) -> QueueSpec {
        self.harness.spec(name)
    }

    /// One connection and one declared queue: what most cases start from.
    pub(crate) async fn open(&self, label: &str) -> CaseResult<(Connection<H::Broker>, QueueSpec)> {
        let connection = self.connect().await?;
        let queue = self.spec(&self.name(label));
        connection.declare(&queue).await?;
        Ok((connection, queue))
    }

    pub(crate) fn needs_outliving_close(&self) -> CaseResult {
        if self.harness.outlives_close() {
            return Ok(());
        }
        Err(NotPassed::LeftOut("closing one connection closes this broker as a whole".into()))
    }

    pub(crate) async fn interrupt(&self) -> CaseResult {
        if within(self.patience(), "interrupting", self.harness.interrupt()).await? {
            return Ok(());
        }
        Err(NotPassed::LeftOut("the harness cannot interrupt connections".into()))
    }

    pub(crate) async fn clean_up(&self) {
        let connections = std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        for broker in connections {
            // A broker that cannot be closed has failed its case already, or fails the cases about closing.
            let _ = timeout(self.patience(), broker.close()).await;
        }
        let queues = std::mem::take(&mut *self.queues.lock().unwrap_or_else(PoisonError::into_inner));
        for queue in queues {
            let dead = QueueSpec::new(&queue).dead_letter_name();
            let _ = timeout(self.patience(), self.harness.cleanup(&queue)).await;
            let _ = timeout(self.patience(), self.harness.cleanup(&dead)).await;
        }
    }
}

impl<H: Harness> fmt::Debug for Scene<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("queues", &self.queues).finish_non_exhaustive()
    }
}

/// What `action` gives, or what it was that did not happen.
pub(crate) async fn within<T>(patience: Duration, what: &str, action: impl Future<Output = T>) -> CaseResult<T> {
    timeout(patience, action).await.map_err(|_| NotPassed::silent(what, patience))
}

/// Waits for all of these; the first that does not pass ends the others.
pub(crate) async fn all_pass(mut running: JoinSet<CaseResult>) -> CaseResult {
    while let Some(end) = running.join_next().await {
        end.map_err(|panic| NotPassed::Broken(format!("a part of the case did not end well: {panic}")))??;
    }
    Ok(())
}

/// A broker whose calls have a limit and whose refusals end the case.
pub(crate) struct Connection<B> {
    pub(crate) broker: Arc<B>,
    patience: Duration,
}

impl<B> Clone for Connection<B> {
    fn clone(&self) -> Self {
        Connection { broker: self.broker.clone(), patience: self.patience }
    }
}

impl<B: Broker> Connection<B> {
    pub(crate) fn capabilities(&self) -> Capabilities {
        self.broker.capabilities()
    }

    pub(crate) fn needs_delay(&self) -> CaseResult {
        if self.capabilities().delay {
            return Ok(());
        }
        Err(NotPassed::LeftOut("this broker has no delays".into()))
    }

    pub(crate) fn needs_priorities(&self) -> CaseResult {
        if self.capabilities().priorities {
            return Ok(());
        }
        Err(NotPassed::LeftOut("this broker has no priorities".into()))
    }

    /// What the call gives, if it gives anything at all.
    async fn attempt<T>(
        &self,
        what: &str,
        action: impl Future<Output = Result<T, BrokerError>>,
    ) -> CaseResult<Result<T, BrokerError>> {
        within(self.patience, what, action).await
    }

    pub(crate) async fn try_declare(&self, queue: &QueueSpec) -> CaseResult<Result<(), BrokerError>> {
        self.attempt("declaring", self.broker.declare(queue)).await
    }

    pub(crate) async fn declare(&self, queue: &QueueSpec) -> CaseResult {
        taken("declaring", self.try_declare(queue).await?)
    }

    pub(crate) async fn try_publish(&self, publish: Publish) -> CaseResult<Result<(), BrokerError>> {
        self.attempt("publishing", self.broker.publish(publish)).await
    }

    pub(crate) async fn publish(&self, publish: Publish) -> CaseResult {
        taken("publishing", self.try_publish(publish).await?)
    }

    pub(crate) async fn publish_to(&self, queue: &QueueSpec, message: Message) -> CaseResult {
        self.publish(Publish::new(queue.name(), task(message))).await
    }

    pub(crate) async fn publish_many(&self, publishes: Vec<Publish>) -> CaseResult<Vec<Result<(), BrokerError>>> {
        within(self.patience, "publishing many", self.broker.publish_many(publishes)).await
    }

    pub(crate) async fn try_consume(
        &self,
        queue: &QueueSpec,
        prefetch: u16,
    ) -> CaseResult<Result<Consumer, BrokerError>> {
        let prefetch = NonZeroU16::new(prefetch).unwrap_or(NonZeroU16::MIN);
        self.attempt("starting to consume", self.broker.consume(queue, prefetch)).await
    }

    pub(crate) async fn consume(&self, queue: &QueueSpec, prefetch: u16) -> CaseResult<Taker> {
        let consumer = taken("starting to consume", self.try_consume(queue, prefetch).await?)?;
        Ok(Taker { consumer, patience: self.patience })
    }

    pub(crate) async fn try_inspect(&self, queue: &str) -> CaseResult<Result<QueueInfo, BrokerError>> {
        self.attempt("inspecting", self.broker.inspect(queue)).await
    }

    pub(crate) async fn inspect(&self, queue: &QueueSpec) -> CaseResult<QueueInfo> {
        taken("inspecting", self.try_inspect(queue.name()).await?)
    }

    pub(crate) async fn close(&self) -> CaseResult {
        taken("closing", self.attempt("closing", self.broker.close()).await?)
    }

    /// Waits until a look at the queue is as `holds` wants it.
    pub(crate) async fn sees(&self, queue: &QueueSpec, what: &str, holds: impl Fn(QueueInfo) -> bool) -> CaseResult {
        let mut last = None;
        let seen = eventually(self.patience, async || {
            last = self.inspect(queue).await.ok();
            last.filter(|info| holds(*info))
        });
        let seen = seen.await.is_some();
        ensure!(seen, "{what}, but the last look at the queue gave {last:?}");
        Ok(())
    }

    /// Waits until the queue holds nothing, delivered or not.
    pub(crate) async fn sees_nothing_left(&self, queue: &QueueSpec) -> CaseResult {
        self.sees(queue, "all is settled and nothing should be left", |info| {
            info.ready == 0 && info.unsettled.unwrap_or(0) == 0
        })
        .await
    }
}

fn taken<T>(what: &str, outcome: Result<T, BrokerError>) -> CaseResult<T> {
    outcome.map_err(|error| NotPassed::Broken(format!("{what} failed: {error} ({error:?})")))
}

/// A consumer whose waits have a limit.
#[derive(Debug)]
pub(crate) struct Taker {
    consumer: Consumer,
    patience: Duration,
}

impl Taker {
    /// Waits so much longer than the harness has patience: what comes is delayed.
    pub(crate) fn longer_by(mut self, delay: Duration) -> Self {
        self.patience += delay;
        self
    }

    pub(crate) async fn next(&mut self) -> CaseResult<Delivery> {
        within(self.patience, "waiting for a delivery", self.next_without_limit()).await?
    }

    /// For a wait that something else limits.
    pub(crate) async fn next_without_limit(&mut self) -> CaseResult<Delivery> {
        let next = self.consumer.next().await;
        next.ok_or_else(|| NotPassed::Broken("the consumer ended, and nobody had stopped it".into()))
    }

    /// The next delivery, which must be a task whose body is this number.
    pub(crate) async fn next_is(&mut self, number: u64) -> CaseResult<Delivery> {
        let delivery = self.next().await?;
        let found = number_of(message_of(&delivery)?)?;
        ensure!(found == number, "message {number} should have come next; {found} came");
        Ok(delivery)
    }

    pub(crate) async fn take(&mut self, count: usize) -> CaseResult<Vec<Delivery>> {
        let mut deliveries = Vec::with_capacity(count);
        while deliveries.len() < count {
            deliveries.push(self.next().await?);
        }
        Ok(deliveries)
    }

    /// Watches a short while that nothing comes; `why` nothing should.
    pub(crate) async fn stays_quiet(&mut self, why: &str) -> CaseResult {
        match timeout(QUIET, self.consumer.next()).await {
            Err(_) => Ok(()),
            Ok(None) => Err(NotPassed::Broken("the consumer ended, and nobody had stopped it".into())),
            Ok(Some(delivery)) => {
                let text = format!("{why}, but a delivery came: {:?}", delivery.content);
                delivery.ack();
                Err(NotPassed::Broken(text))
            }
        }
    }

    /// What is there already, without waiting.
    pub(crate) fn at_once(&mut self) -> Option<Delivery> {
        self.consumer.next().now_or_never().flatten()
    }

    /// Waits for the consumer's end, letting go of what still comes before it.
    pub(crate) async fn ends(&mut self) -> CaseResult {
        let ending = async { while self.consumer.next().await.is_some() {} };
        within(self.patience, "waiting for the consumer's end", ending).await
    }

    pub(crate) fn stop(&mut self) {
        self.consumer.stop();
    }
}
