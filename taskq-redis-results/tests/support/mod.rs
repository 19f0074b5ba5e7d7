//! Redis servers for tests: the one that is there, and private ones that may be killed.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use redis::{Client, aio::MultiplexedConnection};
use std::{
    collections::BTreeMap,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
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
        let options: Vec<String> = options.iter().map(|option| option.to_string()).collect();
        for _ in 0..10 {
            let directory = tempfile::tempdir().unwrap();
            let mut server = Server { port: free_port(), options: options.clone(), directory, process: None };
            if server.try_run().await {
                return server;
            }
        }
        panic!("redis-server ends as soon as it is started with {options:?}");
    }

    /// Starts the server again on the port and the data that it had.
    pub async fn run(&mut self) {
        assert!(self.try_run().await, "port {} was taken while the server was down", self.port);
    }

    /// Whether the server runs, and not another one on its port.
    async fn try_run(&mut self) -> bool {
        let mut process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn()
            .expect("no redis-server; install it with `apt-get install redis-server`");
        let started = async {
            while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
                if process.try_wait().unwrap().is_some() {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
            // One that found its port taken ends a moment after another one has answered on it.
            sleep(Duration::from_millis(50)).await;
        };
        ended(started).await;
        let runs = process.try_wait().unwrap().is_none();
        self.process = runs.then_some(process);
        runs
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

/// A port that no other test of this process is given, outside the range of outgoing connections, with a free
/// companion for talk among the nodes of a cluster.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let offset = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let port = 11_000 + offset as u16;
        if free(port) && free(port + 10_000) {
            return port;
        }
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

/// Connections made to a server since its start.
pub async fn connections(operator: &mut MultiplexedConnection) -> u64 {
    let stats: String = redis::cmd("INFO").arg("stats").query_async(operator).await.unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
    line.trim().parse().unwrap()
}
