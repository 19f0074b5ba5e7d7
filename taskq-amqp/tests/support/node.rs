//! A RabbitMQ of a test's own, which may be killed and put under alarm.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A server takes some seconds to start on a small machine.
const START: Duration = Duration::from_secs(120);

/// Debian's own program is a wrapper that insists on the user `rabbitmq` and its directories: this is the one behind it.
const PROGRAMS: [&str; 2] = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server"];

pub struct Node {
    directory: TempDir,
    program: PathBuf,
    ports: [u16; 3],
    mapper: Child,
    server: Option<Child>,
}

impl Node {
    /// A node that runs and lets clients in.
    pub async fn start() -> Node {
        Node::start_with("").await
    }

    /// A node with this `rabbitmq.conf`.
    pub async fn start_with(conf: &str) -> Node {
        let program = PROGRAMS.iter().map(PathBuf::from).find(|program| program.exists());
        let program =
            program.expect("no RabbitMQ is installed to run privately; `apt-get install rabbitmq-server` has one");
        let directory = tempfile::Builder::new().prefix("taskq-amqp-node").tempdir().unwrap();
        for (file, text) in [("plugins", "[].\n"), ("rabbitmq.conf", conf), ("rabbitmq-env.conf", "")] {
            std::fs::write(directory.path().join(file), text).unwrap();
        }
        let ports = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let mut mapper = Command::new("epmd");
        mapper.args(["-address", "127.0.0.1", "-port", &ports[2].to_string()]).stdout(Stdio::null());
        let mapper = mapper.spawn().expect("epmd comes with Erlang, which RabbitMQ needs");
        let mut node = Node { directory, program, ports, mapper, server: None };
        node.run().await;
        node
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports[0])
    }

    /// Starts the server, with what it had before, and waits until it lets clients in.
    pub async fn run(&mut self) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut server = self.command(&self.program);
        server.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.server = Some(server.spawn().unwrap());
        let url = self.url();
        let answering = async {
            while !answers(&url).await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let in_time = tokio::time::timeout(START, answering).await;
        in_time
            .unwrap_or_else(|_| panic!("no answer: {}", std::fs::read_to_string(self.path("log")).unwrap_or_default()));
    }

    /// Ends the server as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let group = format!("-{}", server.id());
            assert!(Command::new("kill").args(["-9", "--", &group]).status().unwrap().success());
            server.wait().unwrap();
        }
    }

    /// Runs `rabbitmqctl`.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = self.command(&self.program.with_file_name("rabbitmqctl"));
        command.args(["-n", &self.name()]).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn name(&self) -> String {
        format!("taskq-test-{}@localhost", self.ports[0])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &Path) -> Command {
        let [amqp, distribution, mapper] = self.ports;
        let mut command = Command::new(program);
        // The Erlang cookie is kept at home.
        command.env("HOME", self.directory.path());
        command.env("ERL_EPMD_PORT", mapper.to_string());
        command.env("RABBITMQ_NODENAME", self.name());
        command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_NODE_PORT", amqp.to_string());
        command.env("RABBITMQ_DIST_PORT", distribution.to_string());
        command.env("RABBITMQ_MNESIA_BASE", self.path("data"));
        command.env("RABBITMQ_LOG_BASE", self.path("logs"));
        command.env("RABBITMQ_PID_FILE", self.path("pid"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("plugins"));
        command.env("RABBITMQ_CONFIG_FILE", self.path("rabbitmq.conf"));
        command.env("RABBITMQ_CONF_ENV_FILE", self.path("rabbitmq-env.conf"));
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}");
        command
    }
}

/// A server that is starting may accept a connection and say nothing on it.
async fn answers(url: &str) -> bool {
    let connecting = lapin::Connection::connect(url, lapin::ConnectionProperties::default());
    tokio::time::timeout(Duration::from_secs(5), connecting).await.is_ok_and(|connected| connected.is_ok())
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let _ = self.mapper.kill();
        let _ = self.mapper.wait();
    }
}
