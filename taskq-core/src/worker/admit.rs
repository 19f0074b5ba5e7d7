//! Whether a delivery may run.

use super::{patience::Patience, process::Processor};
use crate::{
    clock::UnixMillis, error::ResultError, message::Message, record::ResultRecord, retry::Refusal, task::TaskDef,
};
use std::sync::Arc;

pub(super) enum Admission {
    Run(Arc<Message>, TaskDef),
    Refuse(Arc<Message>, Option<TaskDef>, Refusal),
}

impl Processor {
    /// Looks at name, times, and, for a delivery that may have run before, at the result store.
    pub(super) async fn admit(&self, mut message: Arc<Message>, redelivered: bool) -> Admission {
        let Some(def) = self.app.task(&message.task).copied() else {
            return Admission::Refuse(message, None, Refusal::UnknownTask);
        };
        // The worker's own attribute counts too: a sender may know no more than the task's name.
        if message.retry < def.config.retry {
            Arc::make_mut(&mut message).retry = def.config.retry;
        }
        match self.refusal(&message, &def, redelivered).await {
            Some(refusal) => Admission::Refuse(message, Some(def), refusal),
            None => Admission::Run(message, def),
        }
    }

    async fn refusal(&self, message: &Message, def: &TaskDef, redelivered: bool) -> Option<Refusal> {
        let now = UnixMillis::now();
        if message.expires.is_some_and(|expires| expires <= now) {
            return Some(Refusal::Expired);
        }
        if let Some(eta) = message.eta.filter(|eta| *eta > now) {
            return Some(Refusal::Early(eta));
        }
        if !(redelivered || message.check) || !def.config.store_result {
            return None;
        }
        match self.ended(message).await {
            Ok(record) => record.map(|record| Refusal::Ended(Box::new(record))),
            Err(Interrupted) => Some(Refusal::NoTurn),
        }
    }

    /// How this round of the task ended, if it did. Waits while the store cannot be asked: nothing is run on a guess.
    async fn ended(&self, message: &Message) -> Result<Option<ResultRecord>, Interrupted> {
        let Some(results) = self.app.results() else { return Ok(None) };
        let mut patience = Patience::new(&self.interrupt);
        loop {
            match results.fetch(&message.id).await {
                Ok(record) => return Ok(record.filter(|record| record.round >= message.round)),
                // Somebody wrote it, so somebody ran it; what it says is for a newer release to read.
                Err(ResultError::Decode { source, .. }) => {
                    tracing::warn!(error = &*source as &dyn std::error::Error, "the recorded end cannot be read");
                    return Ok(None);
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the result store cannot be asked; the task waits"
                    );
                    if !patience.pause().await {
                        return Err(Interrupted);
                    }
                }
            }
        }
    }
}

/// The worker is ending.
struct Interrupted;
