//! What went through a broker, in order.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use taskq_core::TaskId;

/// One thing that went through a [`FlakyBroker`](crate::FlakyBroker).
///
/// ```
/// use taskq_conformance::{FlakyBroker, Step};
/// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
/// # use taskq::{ContentType, Message, Publish, TaskId};
/// # fn mail(id: &str) -> Publish {
/// #     Publish::new("mail", Message::new(TaskId::from(id), "welcome", ContentType::Json, "{}".into()))
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BrokerError> {
/// let broker = FlakyBroker::new(InMemoryBroker::new());
/// broker.declare(&QueueSpec::new("mail")).await?;
/// broker.publish(mail("one")).await?;
/// match &broker.history()[..] {
///     [Step::Published { queue, id }] => assert_eq!((queue.as_str(), id), ("mail", &Some("one".into()))),
///     other => panic!("one publish went through: {other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A message was published, and the publisher knows.
    Published {
        /// To this queue.
        queue: String,
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A message was not published, and the publisher knows.
    Refused {
        /// To this queue.
        queue: String,
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A message was published, and the publisher does not know.
    ConfirmLost {
        /// To this queue.
        queue: String,
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A delivery was acked.
    Acked {
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A delivery was acked, the broker did not hear of it, and it comes again.
    AckLost {
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A delivery was given back.
    Requeued {
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
}

#[derive(Default)]
pub(super) struct History {
    acks: AtomicU64,
    steps: Mutex<Vec<Step>>,
}

impl History {
    pub(super) fn write(&self, step: Step) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of this ack, counted from 1 over all consumers.
    pub(super) fn count_ack(&self) -> u64 {
        self.acks.fetch_add(1, Ordering::Relaxed) + 1
    }
}
