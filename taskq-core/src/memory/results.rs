//! Results in memory.

use crate::{BoxFuture, ResultBackend, ResultError, ResultRecord, Step, TaskId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// Results in memory.
#[derive(Debug, Clone, Default)]
pub struct InMemoryResults(Arc<(Mutex<HashMap<TaskId, ResultRecord>>, Notify)>);

impl ResultBackend for InMemoryResults {
    fn store<'a>(
        &'a self,
        id: &'a TaskId,
        record: &'a ResultRecord,
        _ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(async move {
            let mut map = self.0.0.lock().unwrap();
            if let Some(r) = map.get(id)
                && r.round >= record.round
            {
                return Ok(Some(r.clone()));
            }
            map.insert(id.clone(), record.clone());
            self.0.1.notify_waiters();
            Ok(None)
        })
    }
    fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(async move { Ok(self.0.0.lock().unwrap().get(id).cloned()) })
    }
    fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> {
        Box::pin(async move {
            loop {
                let n = self.0.1.notified();
                if let Some(r) = self.fetch(id).await?
                    && r.round >= round
                {
                    return Ok(r);
                }
                n.await;
            }
        })
    }
    fn tracks(&self) -> bool {
        true
    }
    fn track<'a>(&'a self, _: &'a TaskId, _: Step, _: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        Box::pin(async { Ok(()) })
    }
}
