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

mod cluster;
mod control;
mod mapper;
mod settings;

pub use cluster::Cluster;
pub use control::Alarm;
pub use settings::Settings;

use crate::{Failure, Result, amqp, ports::Port, process::Process, program, wait};
use mapper::Mapper;
use settings::Files;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

/// A node takes some seconds to start, and many on a machine that is busy.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(60);

/// Debian's own program is a wrapper that insists on the user `rabbitmq` and its directories: this is the one behind it.
/// The other one is that of RabbitMQ's own packages.
const PROGRAMS: [&str; 2] = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server"];

/// A node of a test's own. Killed when dropped.
#[derive(Debug)]
pub struct Rabbit {
    name: String,
    program: PathBuf,
    port: Port,
    distribution: Port,
    mapper: Arc<Mapper>,
    files: Files,
    process: Option<Process>,
}

impl Rabbit {
    /// A node that runs and lets clients in.
    ///
    /// # Errors
    /// RabbitMQ is not installed, or does not start.
    pub async fn start() -> Result<Rabbit> {
        Settings::new().start().await
    }

    /// A node that does not run yet.
    fn new(name: String, settings: &Settings, mapper: Arc<Mapper>) -> Result<Rabbit> {
        let program = program::find(&PROGRAMS, "rabbitmq-server")?;
        let files = settings.write()?;
        Ok(Rabbit { name, program, port: Port::free()?, distribution: Port::free()?, mapper, files, process: None })
    }

    /// For clients: the user `guest` and the virtual host `/`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// The node's name among nodes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of the node's own log, which goes on over restarts and ends with this value.
    pub fn log(&self) -> PathBuf {
        self.files.path("logs").join(format!("{}.log", self.name))
    }

    /// The id of the process, if it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Whether there is a process, frozen or not.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.has_ended().is_none())
    }

    /// Starts the node, with the data and the port that it had, and waits until it lets clients in.
    ///
    /// # Errors
    /// It runs, or does not start.
    pub async fn run(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts the node and does not wait. A node of a cluster may wait for others before it lets clients in.
    ///
    /// # Errors
    /// It runs, or cannot be run.
    pub fn launch(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(Failure::new(format!("the node {} runs", self.name)));
        }
        self.process = Some(Process::spawn("RabbitMQ", self.command(&self.program), self.files.path("log"))?);
        Ok(())
    }

    /// Waits until the node lets clients in.
    ///
    /// # Errors
    /// It ends, or takes too long.
    pub async fn ready(&mut self) -> Result<()> {
        let url_address = self.address();
        let process = self.process()?;
        let answer = wait::until(START, async || match process.has_ended() {
            Some(status) => Some(Err(process.failure(&format!("ended ({status})")))),
            None => amqp::lets_in(&url_address).await.then_some(Ok(())),
        });
        let answer = answer.await;
        answer.unwrap_or_else(|| Err(process.failure(&format!("let nobody in within {START:?}"))))
    }

    /// Ends the node as a power cut would. One that does not run stays as it is.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops the node in an orderly way and waits until it has ended.
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
    /// The node does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.process()?.freeze()
    }

    /// Lets a frozen node go on.
    ///
    /// # Errors
    /// The node does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.process()?.thaw()
    }

    fn process(&mut self) -> Result<&mut Process> {
        let name = &self.name;
        self.process.as_mut().ok_or_else(|| Failure::new(format!("the node {name} does not run")))
    }

    /// One of RabbitMQ's programs, for this node.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
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
