//! Settling a delivery: once, on every path.

use crate::panic::{self, Panic};
use std::{fmt, sync::Arc};

/// What the broker is told about a delivery in the end.
///
/// ```
/// use taskq::Settlement;
///
/// /// The method of AMQP 0-9-1 that says it, and its `requeue` bit.
/// fn method(settlement: Settlement) -> (&'static str, Option<bool>) {
///     match settlement {
///         Settlement::Ack => ("basic.ack", None),
///         Settlement::Requeue => ("basic.nack", Some(true)),
///     }
/// }
/// assert_eq!(method(Settlement::Requeue), ("basic.nack", Some(true)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is done with: the broker forgets it.
    Ack,
    /// It goes back to its old place in the queue and is delivered again.
    Requeue,
}

/// The broker's side of settling: takes the word over at once and does what is needed by itself.
///
/// After the connection that a delivery came by has died, settling does nothing: the message comes again.
///
/// ```
/// use std::{collections::BTreeMap, sync::Mutex};
/// use taskq::{Content, Settle, Settlement};
///
/// /// A queue in memory.
/// #[derive(Default)]
/// struct Queue {
///     ready: Mutex<BTreeMap<u64, Content>>,
///     unsettled: Mutex<BTreeMap<u64, Content>>,
/// }
///
/// impl Settle for Queue {
///     fn settle(&self, tag: u64, settlement: Settlement) {
///         let content = self.unsettled.lock().unwrap().remove(&tag);
///         if let (Settlement::Requeue, Some(content)) = (settlement, content) {
///             self.ready.lock().unwrap().insert(tag, content); // at its old place
///         }
///     }
/// }
/// # let queue = Queue::default();
/// # let content = Content::from(taskq::Message::new("1".into(), "mail.send", Default::default(), "{}".into()));
/// # queue.unsettled.lock().unwrap().insert(7, content);
/// # queue.settle(7, Settlement::Requeue);
/// # assert_eq!((queue.ready.lock().unwrap().len(), queue.unsettled.lock().unwrap().len()), (1, 0));
/// ```
pub trait Settle: Send + Sync {
    /// Called once per delivery, with the tag that the broker gave it. It must not block: a settlement that needs the
    /// network is handed to a task of the broker.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use taskq::{Content, ContentType, Delivery, Message, Settle, Settlement, TaskId};
    /// use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    ///
    /// struct ToConnection(UnboundedSender<(u64, Settlement)>);
    ///
    /// impl Settle for ToConnection {
    ///     fn settle(&self, tag: u64, settlement: Settlement) {
    ///         // Without a connection there is nothing to do: the message comes again.
    ///         let _ = self.0.send((tag, settlement));
    ///     }
    /// }
    ///
    /// let (sender, mut connection) = unbounded_channel();
    /// let message = Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into());
    /// Delivery::new(message.into(), false, 7, Arc::new(ToConnection(sender))).ack();
    /// assert_eq!(connection.try_recv(), Ok((7, Settlement::Ack)));
    /// ```
    fn settle(&self, tag: u64, settlement: Settlement);

    /// Many were settled, and no more of them follow at once: a hint to a broker that holds settlements back, to tell many of
    /// them together. Called where the results of many runs were stored together, and not for what is settled otherwise:
    /// such a broker needs a timer too. It must not block. By default nothing happens.
    ///
    /// ```
    /// use std::sync::{Mutex, mpsc::{Sender, channel}};
    /// use taskq::{Settle, Settlement};
    ///
    /// struct Gathering {
    ///     untold: Mutex<Vec<u64>>,
    ///     connection: Sender<Vec<u64>>,
    /// }
    ///
    /// impl Settle for Gathering {
    ///     fn settle(&self, tag: u64, _: Settlement) {
    ///         self.untold.lock().unwrap().push(tag); // and a timer, for settlements that come alone
    ///     }
    ///
    ///     fn flush(&self) {
    ///         let tags = std::mem::take(&mut *self.untold.lock().unwrap());
    ///         let _ = self.connection.send(tags);
    ///     }
    /// }
    ///
    /// let (connection, told) = channel();
    /// let settle = Gathering { untold: Mutex::default(), connection };
    /// (1..=3).for_each(|tag| settle.settle(tag, Settlement::Ack));
    /// settle.flush();
    /// assert_eq!(told.try_recv(), Ok(vec![1, 2, 3]));
    /// ```
    fn flush(&self) {}
}

/// The duty to settle one delivery. It is done once: by [`Unsettled::ack`], by [`Unsettled::requeue`], or by being
/// dropped, which gives the delivery back.
///
/// ```
/// use taskq::{Content, Delivery, Message, Unsettled};
/// # use std::sync::{Arc, mpsc};
/// # use taskq::{ContentType, Settle, Settlement, TaskId};
/// # struct Told(mpsc::Sender<(u64, Settlement)>);
/// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
/// # let (sender, told) = mpsc::channel();
/// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
/// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
/// # let delivery = Delivery::new(content, false, 7, broker);
/// fn store(content: &Content, unsettled: Unsettled) -> Result<(), &'static str> {
///     if content.body().len() > 1 {
///         return Err("too large"); // `unsettled` is dropped here: the message goes back
///     }
///     unsettled.ack();
///     Ok(())
/// }
///
/// let Delivery { content, unsettled, .. } = delivery;
/// assert!(store(&content, unsettled).is_err());
/// # assert_eq!(told.try_iter().collect::<Vec<_>>(), [(7, Settlement::Requeue)]);
/// ```
#[must_use = "a delivery that is dropped goes back to its queue"]
pub struct Unsettled {
    pub(super) tag: u64,
    pub(super) settle: Option<Arc<dyn Settle>>,
}

impl Unsettled {
    /// Done with: the broker forgets it. Returns at once; the broker is told behind it.
    ///
    /// ```
    /// use taskq::Delivery;
    /// # use std::sync::{Arc, mpsc};
    /// # use taskq::{Content, ContentType, Message, Settle, Settlement, TaskId};
    /// # struct Told(mpsc::Sender<(u64, Settlement)>);
    /// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
    /// # let (sender, told) = mpsc::channel();
    /// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
    /// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
    /// let Delivery { unsettled, .. } = Delivery::new(content, false, 7, broker);
    /// unsettled.ack();
    /// assert_eq!(told.recv(), Ok((7, Settlement::Ack)));
    /// ```
    pub fn ack(mut self) {
        self.tell(Settlement::Ack);
    }

    /// Goes back to its old place in the queue and is delivered again. Returns at once; the broker is told behind it.
    ///
    /// ```
    /// use taskq::Delivery;
    /// # use std::sync::{Arc, mpsc};
    /// # use taskq::{Content, ContentType, Message, Settle, Settlement, TaskId};
    /// # struct Told(mpsc::Sender<(u64, Settlement)>);
    /// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
    /// # let (sender, told) = mpsc::channel();
    /// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
    /// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
    /// let Delivery { unsettled, .. } = Delivery::new(content, false, 7, broker);
    /// unsettled.requeue();
    /// assert_eq!(told.recv(), Ok((7, Settlement::Requeue)));
    /// ```
    pub fn requeue(mut self) {
        self.tell(Settlement::Requeue);
    }

    /// What it is settled with, until it is.
    pub(crate) fn settler(&self) -> Option<&Arc<dyn Settle>> {
        self.settle.as_ref()
    }

    /// Once: nothing is told after that.
    pub(crate) fn tell(&mut self, settlement: Settlement) {
        if let Some(settle) = self.settle.take() {
            tell(&*settle, self.tag, settlement);
        }
    }
}

pub(super) fn tell(settle: &dyn Settle, tag: u64, settlement: Settlement) {
    guarded(|| settle.settle(tag, settlement));
}

/// Says that no more settlements follow at once.
pub(crate) fn flush(settle: &dyn Settle) {
    guarded(|| settle.flush());
}

/// A panic of the broker costs no more than what it had been told and not passed on.
fn guarded(told: impl FnOnce()) {
    if let Err(Panic { message, location }) = panic::catch(told) {
        tracing::error!(panic = message, location, "the broker panicked when it was told what is settled");
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.tell(Settlement::Requeue);
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").field("tag", &self.tag).finish_non_exhaustive()
    }
}
