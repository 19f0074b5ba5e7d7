//! Private RabbitMQ nodes.
//!
//! ```no_run
//! # async fn example() -> taskq_faults::Result<()> {
//! use taskq_faults::rabbit::Rabbit;
//!
//! let mut rabbit = Rabbit::start().await?;
//! println!("{}", rabbit.url());
//! rabbit.kill();         // as a power cut would
//! rabbit.run().await?;   // the same port, the same data
//! rabbit.freeze()?;      // sockets stay open, nothing answers
//! rabbit.thaw()?;
//! rabbit.set_alarm(Alarm::Memory, true).await?;
//! # use taskq_faults::rabbit::Alarm;
//! # Ok(())
//! # }
//! ```
//!
//! A start takes some seconds of a core, nearly all of which RabbitMQ spends on loading its own modules; no plugin is
//! enabled. The process that is signalled is Erlang's, not a script around it.

mod client;
mod cluster;
mod control;
mod mapper;
mod settings;

pub use client::Client;
pub use cluster::Cluster;
pub use control::Alarm;
pub use settings::Settings;

use crate::{
    Result, amqp,
    ports::Port,
    program,
    server::{Kind, Server},
};
use mapper::Mapper;
use settings::Files;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

/// Debian's own program is a wrapper that insists on the user `rabbitmq` and its directories: this is the one behind it.
/// The other one is that of RabbitMQ's own packages.
const PROGRAMS: [&str; 2] = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server"];

/// A RabbitMQ of a test's own: the user `guest`, the virtual host `/`.
pub type Rabbit = Server<Node>;

/// What makes a [`Server`] a RabbitMQ.
#[derive(Debug)]
pub struct Node {
    name: String,
    program: PathBuf,
    port: Port,
    distribution: Port,
    mapper: Arc<Mapper>,
    files: Files,
}

impl Node {
    fn new(name: String, settings: &Settings, mapper: Arc<Mapper>) -> Result<Node> {
        let program = program::find(&PROGRAMS, "rabbitmq-server")?;
        let files = settings.write()?;
        Ok(Node { name, program, port: Port::free()?, distribution: Port::free()?, mapper, files })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// One of RabbitMQ's programs, for this node.
    fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // A node may leave something where it was started: one of a cluster has left a folder of Mnesia there, once.
        command.current_dir(self.files.directory());
        // The Erlang cookie is kept at home.
        command.env("HOME", self.files.directory());
        command.env("ERL_EPMD_PORT", self.mapper.port().to_string());
        command.env("RABBITMQ_NODENAME", &self.name);
        command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_NODE_PORT", self.port.number().to_string());
        command.env("RABBITMQ_DIST_PORT", self.distribution.number().to_string());
        command.env("ERL_CRASH_DUMP_SECONDS", "0");
        for (variable, file) in settings::PATHS {
            command.env(variable, self.files.path(file));
        }
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", self.files.erlang_arguments());
        // The script then becomes the server instead of a parent of it, and signals reach the server.
        command.env("RUNNING_UNDER_SYSTEMD", "true").env_remove("NOTIFY_SOCKET");
        command
    }
}

impl Kind for Node {
    const PROGRAM: &'static str = "RabbitMQ";
    /// A node takes some seconds to start, and many on a machine that is busy.
    const START: Duration = Duration::from_secs(120);
    const STOP: Duration = Duration::from_secs(60);

    fn title(&self) -> String {
        format!("the node {}", self.name)
    }

    fn command(&self) -> Result<Command> {
        Ok(self.program(&self.program))
    }

    fn output(&self) -> PathBuf {
        self.files.path("log")
    }

    async fn answers(&self) -> bool {
        amqp::lets_in(&self.address()).await
    }
}

impl Server<Node> {
    /// A node that runs and lets clients in.
    ///
    /// # Errors
    /// RabbitMQ is not installed, or does not start.
    pub async fn start() -> Result<Rabbit> {
        Settings::new().start().await
    }

    /// For clients: the user `guest` and the virtual host `/`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.kind.address()
    }

    /// The node's name among nodes.
    pub fn name(&self) -> &str {
        &self.kind.name
    }

    /// The file of the node's own log, which goes on over restarts and ends with this value.
    pub fn log(&self) -> PathBuf {
        self.kind.files.path("logs").join(format!("{}.log", self.name()))
    }
}
