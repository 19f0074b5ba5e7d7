//! The result backend that applications name.

use crate::{address::Address, claims, group::Entry, keys::Keys, live::Live, operations};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use taskq_core::{Bid, BoxFuture, ClaimAnswer, Mark, ResultBackend, ResultError, ResultRecord, Step, TaskId};

/// The environment variable that [`RedisResults::from_env`] reads.
const URL_VARIABLE: &str = "TASKQ_REDIS_URL";
const PREFIX: &str = "taskq";

/// Keeps results in Redis or Valkey, and wakes those who wait for them, in whatever process they are.
///
/// A clone is another handle on the same connections: one for commands, and one that is told of results while something
/// is waited for. They are made when they are needed, on a thread of their own, and made again for as long as it takes
/// when they are lost: a wait rides out an outage, any other call fails with [`ResultError::Store`] after 5 seconds.
/// Wrong credentials are [`ResultError::SetUp`] at once. All keys begin with the prefix and have a time to live.
///
/// Building one does no I/O and never fails: a URL that cannot be used is an error of
/// [`startup`](ResultBackend::startup) and of every other call.
///
/// ```
/// use taskq::RedisResults;
/// let results = RedisResults::new("redis://localhost:6379").prefix("my_app");
/// ```
///
/// # TLS
///
/// With the feature `tls`, a `rediss://` URL connects by TLS, and the server must show a certificate for the host name in
/// the URL from an authority that is trusted: one that the system trusts or, where the environment variable
/// `SSL_CERT_FILE` (one PEM file) or `SSL_CERT_DIR` (directories of them) is set, one from there instead. A private
/// authority is given in that way. They are read at every connection. A certificate that is not trusted counts as a server
/// that is away, and [`ResultError::Store`] says in its source what is wrong with it: it may be renewed. Certificates of
/// clients are not supported.
#[derive(Clone)]
pub struct RedisResults {
    address: Result<Address, String>,
    keys: Keys,
    live: Arc<OnceLock<Result<Live, String>>>,
}

impl RedisResults {
    /// Results in the Redis at `url`: `redis://[user:password@]host[:port][/database]`, or `rediss://..` with the
    /// feature `tls`. The port is 6379 and the database 0 unless told.
    ///
    /// ```
    /// # use taskq::{ResultBackend, ResultError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use taskq::RedisResults;
    ///
    /// let results = RedisResults::new("localhost:6379"); // not a URL: `startup` says so
    /// assert!(matches!(results.startup().await, Err(ResultError::SetUp { .. })));
    /// # }
    /// ```
    pub fn new(url: impl AsRef<str>) -> Self {
        RedisResults::at(Address::parse(url.as_ref()))
    }

    /// Results in the Redis that the environment variable `TASKQ_REDIS_URL` names. If it is not set, `startup` and every
    /// other call say so with [`ResultError::SetUp`].
    ///
    /// ```
    /// use taskq::{App, BrokerExt, InMemoryBroker};
    /// use taskq::RedisResults;
    ///
    /// fn broker() -> App {
    ///     InMemoryBroker::new().with_result_backend(RedisResults::from_env())
    /// }
    /// ```
    pub fn from_env() -> Self {
        RedisResults::from_env_var(URL_VARIABLE)
    }

    /// Results in the Redis that this environment variable names. If it is not set, `startup` and every other call say so
    /// with [`ResultError::SetUp`].
    ///
    /// ```
    /// # use taskq::ResultBackend;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use taskq::RedisResults;
    ///
    /// let error = RedisResults::from_env_var("SHOP_REDIS_URL").startup().await.unwrap_err();
    /// assert!(error.to_string().contains("`SHOP_REDIS_URL` is not set"), "{error}");
    /// # }
    /// ```
    pub fn from_env_var(name: &str) -> Self {
        RedisResults::at(Address::from_env(name))
    }

    /// Results in the Redis or Valkey Cluster (7.0 or later) that these nodes belong to; one that answers is enough.
    ///
    /// ```
    /// # use taskq::RedisResults;
    /// let results = RedisResults::cluster(["redis://node-1:6379", "redis://node-2:6379"]);
    /// ```
    #[cfg(feature = "cluster")]
    pub fn cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Self {
        RedisResults::at(Address::cluster(urls))
    }

    /// What all keys and channels begin with, `taskq` by default: apps with different prefixes do not see each other's
    /// results in one Redis. Without braces. Call it before the first use; it does not change handles cloned before.
    ///
    /// ```
    /// # use taskq::{ResultBackend, ResultError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use taskq::RedisResults;
    ///
    /// let shop = RedisResults::new("redis://localhost").prefix("shop"); // keys are `shop:{id}:r` and so on
    /// let mistaken = shop.clone().prefix("{shop}");
    /// assert!(matches!(mistaken.startup().await, Err(ResultError::SetUp { .. })));
    /// # }
    /// ```
    pub fn prefix(self, prefix: &str) -> Self {
        RedisResults { keys: Keys::new(prefix), live: Arc::default(), ..self }
    }

    fn at(address: Result<Address, String>) -> Self {
        RedisResults { address, keys: Keys::new(PREFIX), live: Arc::default() }
    }

    fn live(&self) -> Result<&Live, ResultError> {
        let live = self.live.get_or_init(|| {
            let address = self.address.clone()?;
            self.keys.check()?;
            Live::start(address, self.keys.clone()).map_err(|error| format!("no thread for its connections: {error}"))
        });
        live.as_ref().map_err(|reason| ResultError::SetUp { reason: reason.clone() })
    }
}

impl ResultBackend for RedisResults {
    /// Connects, and logs a warning if the server may drop results when its memory is full.
    ///
    /// # Errors
    /// [`ResultError::SetUp`] for a URL that cannot be used and a user whom the server refuses; [`ResultError::Store`]
    /// if the server is not there within 5 seconds.
    fn startup(&self) -> BoxFuture<'_, Result<(), ResultError>> {
        Box::pin(async move { self.live()?.check().await })
    }

    /// Once begun, storing goes on when the future is dropped.
    fn store<'a>(
        &'a self,
        id: &'a TaskId,
        record: &'a ResultRecord,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(async move { self.live()?.store(entry(id, record, ttl)).await })
    }

    fn stores_together(&self) -> bool {
        true
    }

    /// Once begun, storing goes on when the future is dropped.
    fn store_many<'a>(
        &'a self,
        records: &'a [(TaskId, ResultRecord, Duration)],
    ) -> BoxFuture<'a, Vec<Result<Option<ResultRecord>, ResultError>>> {
        Box::pin(async move {
            let entries = records.iter().map(|(id, record, ttl)| entry(id, record, *ttl)).collect();
            match self.live() {
                Ok(live) => live.store_many(entries).await,
                Err(_) => records.iter().map(|_| self.live().map(|_| None)).collect(),
            }
        })
    }

    fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        let id = id.clone();
        Box::pin(
            async move { self.live()?.run(move |shared| async move { operations::fetch(&shared, &id).await }).await },
        )
    }

    /// # Errors
    /// [`ResultError::Decode`] for a record that cannot be read; [`ResultError::SetUp`] when the server refuses this
    /// user. A server that is away is none.
    fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> {
        Box::pin(async move { self.live()?.wait(id, round).await })
    }

    fn tracks(&self) -> bool {
        true
    }

    fn track<'a>(&'a self, id: &'a TaskId, step: Step, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        let id = id.clone();
        Box::pin(async move {
            self.live()?.run(move |shared| async move { operations::track(&shared, &id, step, ttl).await }).await
        })
    }

    fn step<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Step>, ResultError>> {
        let id = id.clone();
        Box::pin(
            async move { self.live()?.run(move |shared| async move { operations::step(&shared, &id).await }).await },
        )
    }

    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        let bid = bid.clone();
        Box::pin(async move {
            let live = self.live()?;
            let handle = live.handle();
            // To its end: an answer that nobody heard would be a claim that nobody knows of.
            live.run_to_end(move |shared| async move { claims::claim(shared, handle, bid).await }).await.map(Some)
        })
    }

    fn mark<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Mark>, ResultError>> {
        Box::pin(async move { self.live()?.mark(id).await.map(|marked| Some(Mark::new(marked))) })
    }

    fn carried_out<'a>(&'a self, bid: &'a Bid, ended: bool, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        let bid = bid.clone();
        Box::pin(async move {
            self.live()?
                .run_to_end(move |shared| async move { claims::carried_out(&shared, &bid, ended, ttl).await })
                .await
        })
    }

    /// Disconnects when those who wait elsewhere for what was stored here have been told, which takes a second at most. What
    /// is still waited for goes on, and a later call works: both connect anew.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(Ok(live)) = self.live.get() {
                live.close().await;
            }
        })
    }
}

fn entry(id: &TaskId, record: &ResultRecord, ttl: Duration) -> Entry {
    Entry { id: id.clone(), round: record.round, bytes: record.encode(), ttl }
}

impl fmt::Debug for RedisResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited_for =
            self.live.get().and_then(|live| live.as_ref().ok()).map_or(0, |live| live.shared().waiters.len());
        f.debug_struct("RedisResults")
            .field("address", &self.address.as_ref().map(Address::to_string))
            .field("keys", &self.keys)
            .field("waited_for", &waited_for)
            .finish()
    }
}
