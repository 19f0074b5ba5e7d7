//! What a lane is made of.

use super::job::Job;
use crate::{levels::Levels, link::Link, session::Line};
use std::sync::Arc;
use taskq_core::BrokerError;
use tokio_util::sync::CancellationToken;

pub(super) struct Setup {
    pub(super) link: Link,
    /// Host and port of the servers, for errors.
    pub(super) servers: Arc<str>,
    /// Given where delayed messages pass, so that their levels must exist.
    pub(super) levels: Option<Arc<Levels>>,
    pub(super) closing: CancellationToken,
}

impl Setup {
    /// Why a message was not handed over in time.
    pub(super) fn overdue(&self, job: &Job, line: &Line) -> BrokerError {
        let queue = job.queue.to_string();
        match line {
            _ if job.is_maybe_taken => BrokerError::Unconfirmed { queue },
            _ if job.nacks > 0 => BrokerError::Full { queue },
            Line::Blocked { reason } => BrokerError::Blocked { reason: reason.clone() },
            Line::Open => BrokerError::Blocked { reason: "too many messages wait for their confirmation".into() },
            Line::Dead => self.link.overdue(
                &self.servers,
                match self.levels {
                    Some(_) => "its delay queues were being declared",
                    None => "a channel was being opened",
                },
            ),
        }
    }
}
