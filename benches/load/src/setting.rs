//! What all kinds of work are measured in.

use crate::{
    amounts::Amounts,
    args::Args,
    clock,
    protocol::{Kind, Place},
    servers::Servers,
};
use anyhow::Result;
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{QueueDeleteOptions, QueuePurgeOptions},
};
use redis::{AsyncIter, Client, aio::MultiplexedConnection};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Keys that are deleted by one command.
const KEYS: usize = 1_000;

/// One run of the program.
pub(crate) struct Setting {
    pub(crate) servers: Servers,
    pub(crate) amounts: Amounts,
    pub(crate) rounds: usize,
    pub(crate) kinds: Vec<Kind>,
    /// Unlike that of any other run.
    name: String,
    connection: Connection,
    redis: MultiplexedConnection,
    places: AtomicU64,
    /// To be deleted.
    queues: Mutex<Vec<String>>,
}

impl Setting {
    pub(crate) async fn new(args: &Args) -> Result<Self> {
        let servers = Servers::find()?;
        let connection = Connection::connect(&servers.amqp, ConnectionProperties::default()).await?;
        let redis = Client::open(servers.redis.as_str())?.get_multiplexed_async_connection().await?;
        Ok(Setting {
            amounts: args.amounts(),
            rounds: args.rounds(),
            kinds: args.kinds.clone(),
            name: name(),
            servers,
            connection,
            redis,
            places: AtomicU64::new(0),
            queues: Mutex::default(),
        })
    }

    /// A place with so many queues that nobody else has. They do not exist yet.
    pub(crate) fn place(&self, kind: Kind, queues: usize) -> Place {
        let number = self.places.fetch_add(1, Ordering::Relaxed);
        let queues: Vec<String> = (0..queues).map(|queue| format!("{}-{number}-{queue}", self.name)).collect();
        self.queues().extend(queues.iter().cloned());
        Place {
            amqp: self.servers.amqp.clone(),
            redis: self.servers.redis.clone(),
            prefix: self.name.clone(),
            kind,
            queues,
            text: 0,
        }
    }

    pub(crate) async fn channel(&self) -> Result<Channel> {
        Ok(self.connection.create_channel().await?)
    }

    /// Deletes all results of this run.
    pub(crate) async fn forget_results(&self) -> Result<()> {
        let mut redis = self.redis.clone();
        let pattern = format!("{}:*", self.name);
        let mut scan = redis::cmd("SCAN");
        scan.cursor_arg(0).arg("MATCH").arg(pattern).arg("COUNT").arg(KEYS);
        let mut scanned = self.redis.clone();
        let mut keys: AsyncIter<'_, String> = scan.iter_async(&mut scanned).await?;
        let mut unlink = redis::cmd("UNLINK");
        let mut count = 0;
        while let Some(key) = keys.next_item().await {
            unlink.arg(key?);
            count += 1;
            if count == KEYS {
                unlink.query_async::<()>(&mut redis).await?;
                (unlink, count) = (redis::cmd("UNLINK"), 0);
            }
        }
        if count > 0 {
            unlink.query_async::<()>(&mut redis).await?;
        }
        Ok(())
    }

    /// Takes all messages from these queues.
    pub(crate) async fn purge(&self, queues: &[String]) -> Result<()> {
        let channel = self.channel().await?;
        for queue in queues {
            channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await?;
        }
        Ok(channel.close(200, "done".into()).await?)
    }

    /// Deletes these queues with their dead letters.
    pub(crate) async fn delete(&self, queues: &[String]) -> Result<()> {
        let channel = self.channel().await?;
        for queue in queues {
            for name in [queue.clone(), format!("{queue}.dead")] {
                channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
            }
        }
        self.queues().retain(|queue| !queues.contains(queue));
        Ok(channel.close(200, "done".into()).await?)
    }

    /// Leaves nothing behind.
    pub(crate) async fn clean(&self) -> Result<()> {
        let left = self.queues().clone();
        self.delete(&left).await?;
        self.forget_results().await
    }

    fn queues(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What everything of one setting is called. Tests make several of them in one millisecond.
fn name() -> String {
    static SETTINGS: AtomicU64 = AtomicU64::new(0);
    let number = SETTINGS.fetch_add(1, Ordering::Relaxed);
    format!("taskq-load-{:x}-{}-{number}", clock::unix_millis(), std::process::id())
}
