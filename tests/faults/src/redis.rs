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

use crate::{Failure, Result, ports::Port, process::Process, program, wait};
use std::{process::Command, time::Duration};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);

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
        let mut redis = Redis { port: Port::free()?, options: self.options, directory, process: None };
        redis.run().await?;
        Ok(redis)
    }
}

/// A server of a test's own. Killed when dropped.
#[derive(Debug)]
pub struct Redis {
    port: Port,
    options: Vec<String>,
    directory: TempDir,
    process: Option<Process>,
}

impl Redis {
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
        format!("127.0.0.1:{}", self.port())
    }

    /// Where it listens, whether it runs or not.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The id of the process, if it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Whether there is a process, frozen or not.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.has_ended().is_none())
    }

    /// Starts the server, with the data and the port that it had, and waits until it answers.
    ///
    /// # Errors
    /// It runs, or does not start.
    pub async fn run(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(Failure::new(format!("the Redis at {} runs", self.address())));
        }
        let mut command = Command::new(program::find(&["redis-server", "valkey-server"], "redis-server")?);
        command.args(["--port", &self.port().to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "local"]);
        command.arg("--dir").arg(self.directory.path()).args(&self.options);
        self.process = Some(Process::spawn("Redis", command, self.directory.path().join("log"))?);
        self.ready().await
    }

    async fn ready(&mut self) -> Result<()> {
        let address = self.address();
        let process = self.process()?;
        let answer = wait::until(START, async || match process.has_ended() {
            Some(status) => Some(Err(process.failure(&format!("ended ({status})")))),
            None => command::answers(&address).await.then_some(Ok(())),
        });
        let answer = answer.await;
        answer.unwrap_or_else(|| Err(process.failure(&format!("did not answer within {START:?}"))))
    }

    /// Ends the server as a power cut would. One that does not run stays as it is.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops the server in an orderly way and waits until it has ended.
    ///
    /// # Errors
    /// It does not run, or takes too long.
    pub async fn stop(&mut self) -> Result<()> {
        self.process()?.stop(STOP).await?;
        self.process = None;
        Ok(())
    }

    /// Stops the process as a debugger does (SIGSTOP): its sockets stay open, and nothing answers.
    ///
    /// # Errors
    /// The server does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.process()?.freeze()
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// The server does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.process()?.thaw()
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

    fn process(&mut self) -> Result<&mut Process> {
        let port = self.port.number();
        self.process.as_mut().ok_or_else(|| Failure::new(format!("the Redis at port {port} does not run")))
    }
}
