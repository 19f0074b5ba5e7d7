//! Publishing, right or wrong.

use crate::{Fault, server::Server, source::Line};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use taskq_core::{Broker, BrokerError, Content, Message, Publish, QueueSpec};
use tokio::time::{Instant, sleep};

impl Server {
    pub(crate) async fn publish(&self, mut publish: Publish, line: &Arc<Line>) -> Result<(), BrokerError> {
        if let Content::Task(message) = &publish.content {
            publish.content = self.spoil_message((**message).clone()).into();
        }
        if self.is(Fault::DropsEpitaphs) {
            publish.epitaph = None;
        }
        self.spoil_delay(&mut publish);
        match self.fault {
            Fault::CreatesQueues => self.broker.declare(&QueueSpec::new(&*publish.queue)).await?,
            Fault::LosesSome if self.is_every(50) => return Ok(()),
            Fault::DoublesSome if self.is_every(50) => self.put(publish.clone()).await?,
            Fault::ConfirmsEarly => return self.put_later(publish, Duration::from_millis(50)),
            Fault::DelaysInTheConnection if publish.delay.is_some() => return self.put_if_open(publish, line),
            _ => {}
        }
        match self.put(publish).await {
            Err(BrokerError::Unroutable { .. }) if self.is(Fault::ConfirmsUnroutable) => Ok(()),
            other => other,
        }
    }

    /// Into its queue, whatever it is.
    pub(crate) async fn put(&self, publish: Publish) -> Result<(), BrokerError> {
        if let Content::Foreign(_) = &publish.content
            && self.is(Fault::DropsForeign)
        {
            return Ok(());
        }
        if self.is(Fault::RoutesBySuffix) {
            self.put_by_suffix(&publish).await?;
        }
        self.broker.publish(publish).await
    }

    async fn put_by_suffix(&self, publish: &Publish) -> Result<(), BrokerError> {
        let queues = self.queues.lock().unwrap().clone();
        for queue in queues.into_iter().filter(|queue| publish.queue.ends_with(&format!(".{queue}"))) {
            let mut copy = publish.clone();
            copy.queue = queue.into();
            self.broker.publish(copy).await?;
        }
        Ok(())
    }

    fn put_later(&self, publish: Publish, pause: Duration) -> Result<(), BrokerError> {
        let broker = self.broker.clone();
        tokio::spawn(async move {
            sleep(pause).await;
            broker.publish(publish).await
        });
        Ok(())
    }

    fn put_if_open(&self, mut publish: Publish, line: &Arc<Line>) -> Result<(), BrokerError> {
        let (broker, line, epoch) = (self.broker.clone(), line.clone(), line.epoch());
        let delay = publish.delay.take().unwrap_or_default();
        tokio::spawn(async move {
            sleep(delay).await;
            if !line.is_closed() && line.epoch() == epoch {
                let _ = broker.publish(publish).await;
            }
        });
        Ok(())
    }

    fn spoil_message(&self, mut message: Message) -> Message {
        match self.fault {
            Fault::DropsLabels => message.labels.clear(),
            Fault::DropsPriorities => message.priority = None,
            Fault::TakesBodiesForText => message.body = String::from_utf8_lossy(&message.body).into_owned().into(),
            Fault::CutsBodies => message.body = Bytes::copy_from_slice(&message.body[..message.body.len().min(65_536)]),
            _ => {}
        }
        message
    }

    fn spoil_delay(&self, publish: &mut Publish) {
        match (self.fault, publish.delay) {
            (Fault::HalvesDelays, Some(delay)) => publish.delay = Some(delay / 2),
            (Fault::QueuesDelays, Some(delay)) => {
                let mut longest = self.longest_delay.lock().unwrap();
                let due = (Instant::now() + delay).max(longest.unwrap_or_else(Instant::now));
                *longest = Some(due);
                publish.delay = Some(due - Instant::now());
            }
            (Fault::Reorders, None) if self.is_every(10) => publish.delay = Some(Duration::from_millis(20)),
            _ => {}
        }
    }
}
