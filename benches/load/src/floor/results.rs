//! The commands that taskq gives to Redis, given by hand.

use super::envelope::name_of;
use crate::{
    amounts::RESULT_TTL,
    protocol::{Place, Task},
};
use anyhow::{Result, bail};
use redis::{Client, Pipeline, Value, aio::MultiplexedConnection};
use std::borrow::Cow;
use taskq::{End, ResultRecord};

/// Where results go.
#[derive(Clone)]
pub(super) struct Results {
    connection: MultiplexedConnection,
    prefix: String,
    record: Vec<u8>,
}

impl Results {
    pub(super) async fn connect(place: &Place) -> Result<Self> {
        let connection = Client::open(place.redis.as_str())?.get_multiplexed_async_connection().await?;
        let value = if place.text == 0 { vec![0xce, 0, 0, 0, 7] } else { vec![0] };
        let mut record = ResultRecord::new(End::Done(value.into()), name_of(Task::Kept, place.text));
        record.attempts = 1;
        record.worker = format!("a-host-name/{}", std::process::id()).into();
        Ok(Results { connection, prefix: place.prefix.clone(), record: record.encode() })
    }

    /// The key of the record (`r`) or of those who wait (`w`).
    pub(super) fn key(&self, id: &str, which: &str) -> String {
        format!("{}:{{{id}}}:{which}", self.prefix)
    }

    /// What is stored for every task.
    #[cfg(test)]
    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// A task's result, if it has none yet, and the question who waits for it.
    fn store(&self, commands: &mut Pipeline, id: &str) {
        commands
            .cmd("SET")
            .arg(self.key(id, "r"))
            .arg(&self.record)
            .arg("NX")
            .arg("PX")
            .arg(RESULT_TTL.as_millis() as u64);
        commands.cmd("SMEMBERS").arg(self.key(id, "w"));
    }

    /// Stores the results of these tasks, and wakes those who wait for them.
    pub(super) async fn store_all(&mut self, ids: &[&str]) -> Result<()> {
        let mut commands = Pipeline::with_capacity(2 * ids.len());
        for id in ids {
            self.store(&mut commands, id);
        }
        let replies: Vec<Value> = commands.query_async(&mut self.connection).await?;
        self.wake(ids, &replies).await
    }

    async fn wake(&mut self, ids: &[&str], replies: &[Value]) -> Result<()> {
        let mut wakes = Pipeline::new();
        for (id, reply) in ids.iter().zip(replies.as_chunks::<2>().0) {
            let [Value::Okay, waiters] = reply else { bail!("task {id} had a result: {reply:?}") };
            for process in members(waiters) {
                wakes.cmd("PUBLISH").arg(format!("{}:wake:{process}", self.prefix)).arg(id).ignore();
            }
        }
        if !wakes.is_empty() {
            wakes.query_async::<()>(&mut self.connection).await?;
        }
        Ok(())
    }
}

fn members(reply: &Value) -> impl Iterator<Item = Cow<'_, str>> {
    let members = match reply {
        Value::Array(members) | Value::Set(members) => members.as_slice(),
        _ => &[],
    };
    members.iter().filter_map(|member| match member {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    })
}
