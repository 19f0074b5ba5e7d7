//! A Redis of a test's own, which may be killed.

use super::{ended, free_port};
use ::redis::{Client, aio::MultiplexedConnection};
use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

pub struct Redis {
    port: u16,
    directory: TempDir,
    server: Option<Child>,
}

impl Redis {
    pub async fn start() -> Redis {
        let mut redis = Redis { port: free_port(), directory: tempfile::tempdir().unwrap(), server: None };
        redis.run().await;
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts the server, with what it had before, and waits until it answers.
    pub async fn run(&mut self) {
        let mut server = Command::new("redis-server");
        server.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        server.args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]);
        server.arg("--dir").arg(self.directory.path()).stdout(Stdio::null());
        self.server = Some(server.spawn().expect("no redis-server; `apt-get install redis-server` has one"));
        ended(async {
            while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// `STOP` freezes it, `CONT` lets it go on.
    pub fn signal(&self, signal: &str) {
        let id = self.server.as_ref().expect("a running server").id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &*id]).status().unwrap().success());
    }

    /// A connection for the test itself.
    pub async fn connect(&self) -> MultiplexedConnection {
        Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// How many commands the server ran, by name.
    pub async fn commands(&self) -> Vec<(String, u64)> {
        let mut connection = self.connect().await;
        let stats: String = ::redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
        let counted = stats.lines().filter_map(|line| {
            let (command, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((command.to_owned(), rest.split(',').next()?.parse().ok()?))
        });
        counted.collect()
    }

    /// All keys with their times to live, in milliseconds; negative for those that stay for ever.
    pub async fn keys(&self) -> Vec<(String, i64)> {
        let mut connection = self.connect().await;
        let names: Vec<String> = ::redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        let mut keys = Vec::new();
        for name in names {
            let ttl: i64 = ::redis::cmd("PTTL").arg(&name).query_async(&mut connection).await.unwrap();
            keys.push((name, ttl));
        }
        keys
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
