//! Redis servers for tests: the one that is there, and private ones that may be killed.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use redis::{Client, aio::MultiplexedConnection};
use std::{
    collections::BTreeMap,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};
use taskq_core::{End, ResultRecord};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// What takes this long will not happen any more.
pub const HUNG: Duration = Duration::from_secs(30);
pub const TTL: Duration = Duration::from_secs(60);

/// Where the shared server is, if there is one: `TASKQ_TEST_REDIS_URL`, else one on this machine.
pub fn shared_url() -> Option<String> {
    if let Ok(url) = std::env::var("TASKQ_TEST_REDIS_URL") {
        return Some(url);
    }
    TcpStream::connect("127.0.0.1:6379").is_ok().then(|| "redis://127.0.0.1:6379".to_owned())
}

/// A server of a test's own, on a port of its own, with a directory of its own. Killed when dropped.
pub struct Server {
    port: u16,
    options: Vec<String>,
    directory: TempDir,
    process: Option<Child>,
}

impl Server {
    pub async fn start(options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = options.iter().map(|option| option.to_string()).collect();
        let mut server = Server { port, options, directory: tempfile::tempdir().unwrap(), process: None };
        server.run().await;
        server
    }

    /// Starts the server again on the port and the data that it had.
    pub async fn run(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn()
            .expect("no redis-server; install it with `apt-get install redis-server`");
        self.process = Some(process);
        eventually("the server listens", async || TcpStream::connect(("127.0.0.1", self.port)).is_ok()).await;
    }

    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a running server");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Stops the process as a debugger does: its sockets stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().expect("a running server").id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection for the test itself.
    pub async fn connect(&self) -> MultiplexedConnection {
        Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// Waits for a condition, within a bound.
pub async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let holds = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(HUNG, holds).await.is_ok(), "it did not come to be that {what}");
}

/// Fails the test instead of hanging it.
pub async fn ended<F: Future>(wait: F) -> F::Output {
    timeout(HUNG, wait).await.expect("it did not end")
}

/// How often the server ran each command.
pub async fn command_counts(connection: &mut MultiplexedConnection) -> BTreeMap<String, u64> {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(connection).await.unwrap();
    stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
        .filter(|(command, _)| *command != "info")
        .map(|(command, rest)| (command.to_owned(), rest.split(',').next().unwrap().parse().unwrap()))
        .collect()
}

pub fn record(round: u32) -> ResultRecord {
    let mut record = ResultRecord::new(End::Done(vec![1, 2, 3].into()), "test.task");
    record.round = round;
    record
}
