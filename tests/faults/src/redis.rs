//! Private Redis servers.
//!
//! ```no_run
//! # async fn example() -> taskq_faults::Result<()> {
//! use taskq_faults::redis::Redis;
//!
//! let mut redis = Redis::start().await?;
//! println!("{}", redis.url());
//! redis.kill();                // as a power cut would: what was answered is kept (`appendfsync always`)
//! redis.run().await?;          // the same port, the same data
//! redis.drop_subscribers().await?;
//! # Ok(())
//! # }
//! ```

mod cluster;
mod command;

pub use cluster::Cluster;
pub use command::Reply;

use crate::{
    Failure, Result,
    ports::Port,
    program,
    server::{Kind, Server},
};
use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};
use tempfile::TempDir;

/// What a server is started with.
///
/// It keeps a log of all writes and syncs it before it answers (`appendonly yes`, `appendfsync always`), unless an option
/// says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    options: Vec<String>,
}

impl Settings {
    /// A server that loses nothing that it has answered.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// An option of Redis, such as `appendfsync everysec` or `maxmemory 10mb`. The last one of a name holds.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Settings {
        self.options.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// A server with these settings that answers.
    ///
    /// # Errors
    /// Redis is not installed, or does not start.
    pub async fn start(self) -> Result<Redis> {
        let directory = tempfile::Builder::new().prefix("taskq-faults-redis").tempdir();
        let directory = directory.map_err(|error| Failure::new(format!("no directory for Redis: {error}")))?;
        let mut redis = Redis::of(Store { port: Port::free()?, options: self.options, directory });
        redis.run().await?;
        Ok(redis)
    }
}

/// A Redis of a test's own.
pub type Redis = Server<Store>;

/// What makes a [`Server`] a Redis.
#[derive(Debug)]
pub struct Store {
    port: Port,
    options: Vec<String>,
    directory: TempDir,
}

impl Store {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }
}

impl Kind for Store {
    const PROGRAM: &'static str = "Redis";
    const START: Duration = Duration::from_secs(30);
    const STOP: Duration = Duration::from_secs(30);

    fn title(&self) -> String {
        format!("the Redis at {}", self.address())
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(program::find(&["redis-server", "valkey-server"], "redis-server")?);
        command.args(["--port", &self.port.number().to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "local"]);
        command.arg("--dir").arg(self.directory.path()).args(&self.options);
        Ok(command)
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    async fn answers(&self) -> bool {
        command::answers(&self.address()).await
    }
}

impl Server<Store> {
    /// A server that answers, and loses nothing that it has answered.
    ///
    /// # Errors
    /// Redis is not installed, or does not start.
    pub async fn start() -> Result<Redis> {
        Settings::new().start().await
    }

    /// For clients, without a password.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.kind.address()
    }

    /// Where it listens, whether it runs or not.
    pub fn port(&self) -> u16 {
        self.kind.port.number()
    }

    /// Runs a command and gives its reply.
    ///
    /// # Errors
    /// The server does not answer within 10 s, or answers with an error.
    pub async fn command(&self, words: &[&str]) -> Result<Reply> {
        command::run(&self.address(), words).await
    }

    /// Makes the server deaf for this long (`DEBUG SLEEP`), and returns when that has begun.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn sleep(&self, duration: Duration) -> Result<()> {
        command::start(&self.address(), &["DEBUG", "SLEEP", &duration.as_secs_f64().to_string()]).await
    }

    /// Ends the connections that are subscribed to something; says how many there were.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn drop_subscribers(&self) -> Result<u64> {
        self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?.number()
    }

    /// Ends all connections; says how many there were.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn drop_clients(&self) -> Result<u64> {
        self.command(&["CLIENT", "KILL", "SKIPME", "yes"]).await?.number()
    }

    /// How often it has run each command since its start, but for this question.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn command_counts(&self) -> Result<BTreeMap<String, u64>> {
        let stats = self.info("commandstats").await?;
        let counts = stats.into_iter().filter_map(|(name, count)| {
            let calls = count.strip_prefix("calls=")?.split(',').next()?;
            Some((name.strip_prefix("cmdstat_")?.to_owned(), calls.parse().ok()?))
        });
        Ok(counts.filter(|(command, _)| command != "info").collect())
    }

    /// How many connections were made to it since its start.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn connections_made(&self) -> Result<u64> {
        let stats = self.info("stats").await?;
        let made = stats.get("total_connections_received").and_then(|made| made.parse().ok());
        made.ok_or_else(|| Failure::new("Redis does not say how many connections were made"))
    }

    /// All keys with their times to live, in milliseconds; -1 for those that stay for ever.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn keys(&self) -> Result<BTreeMap<String, i64>> {
        let Reply::Many(names) = self.command(&["KEYS", "*"]).await? else {
            return Err(Failure::new("Redis does not say which keys there are"));
        };
        let mut keys = BTreeMap::new();
        for name in names {
            let name = name.text()?;
            if let Reply::Number(ttl) = self.command(&["PTTL", &name]).await? {
                keys.insert(name, ttl);
            }
        }
        Ok(keys)
    }

    async fn info(&self, section: &str) -> Result<BTreeMap<String, String>> {
        let text = self.command(&["INFO", section]).await?.text()?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
