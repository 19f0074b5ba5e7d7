//! How a private node is set up.

use super::{Mapper, Node, Rabbit};
use crate::{Failure, Result};
use std::{
    collections::BTreeMap, fmt::Write, fs, io, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration,
};
use tempfile::TempDir;

/// Where a node finds its files, by environment variable.
pub(super) const PATHS: [(&str, &str); 7] = [
    ("RABBITMQ_MNESIA_BASE", "data"),
    ("RABBITMQ_LOG_BASE", "logs"),
    ("RABBITMQ_PID_FILE", "pid"),
    ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
    ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
    ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced.config"),
    ("RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf"),
];

/// Shared by all nodes that a test starts; they listen on this machine alone.
pub(super) const COOKIE: &str = "taskq-faults";

/// What a node, or each node of a cluster, is started with.
///
/// ```no_run
/// # async fn example() -> taskq_faults::Result<()> {
/// use std::time::Duration;
/// use taskq_faults::rabbit::Settings;
///
/// let rabbit = Settings::new()
///     .consumer_timeout(Duration::from_secs(10))
///     .conf("max_message_size", "1048576")
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Settings {
    conf: Vec<(String, String)>,
    advanced: BTreeMap<String, Vec<(String, String)>>,
    erlang: Vec<String>,
}

impl Settings {
    /// RabbitMQ's own defaults, without plugins.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// A line of `rabbitmq.conf`.
    #[must_use]
    pub fn conf(mut self, key: &str, value: &str) -> Settings {
        self.conf.push((key.into(), value.into()));
        self
    }

    /// An entry of `advanced.config`: the application's name, the key, and the value as an Erlang term.
    #[must_use]
    pub fn advanced(mut self, application: &str, key: &str, term: &str) -> Settings {
        self.advanced.entry(application.into()).or_default().push((key.into(), term.into()));
        self
    }

    /// Arguments of the Erlang machine, such as `+S 1:1`.
    #[must_use]
    pub fn erlang(mut self, arguments: &str) -> Settings {
        self.erlang.push(arguments.into());
        self
    }

    /// How long a delivery may stay unacknowledged. RabbitMQ looks every second, where its default is a minute.
    #[must_use]
    pub fn consumer_timeout(self, timeout: Duration) -> Settings {
        let millis = timeout.as_millis().to_string();
        self.advanced("rabbit", "consumer_timeout", &millis).advanced("rabbit", "channel_tick_interval", "1000")
    }

    /// How long a dead letter that did not arrive waits until it is tried again, where the default is three minutes. What
    /// is on its way from one delay level to the next when the node is killed is such a letter.
    #[must_use]
    pub fn dead_letter_timeout(self, timeout: Duration) -> Settings {
        let millis = timeout.as_millis().to_string();
        self.advanced("rabbit", "dead_letter_worker_publisher_confirm_timeout", &millis)
    }

    /// A node with these settings that lets clients in.
    ///
    /// # Errors
    /// RabbitMQ is not installed, or does not start.
    pub async fn start(self) -> Result<Rabbit> {
        let mut rabbit = Rabbit::of(Node::new("taskq@localhost".into(), &self, Arc::new(Mapper::start()?))?);
        rabbit.run().await?;
        Ok(rabbit)
    }

    pub(super) fn write(&self) -> Result<Files> {
        let directory = directory()?;
        let conf = self.conf.iter().fold(String::new(), |text, (key, value)| text + key + " = " + value + "\n");
        let files = [
            (".erlang.cookie", COOKIE.to_owned()),
            ("plugins", "[].\n".to_owned()),
            ("rabbitmq.conf", conf),
            ("advanced.config", self.advanced_config()),
            ("rabbitmq-env.conf", String::new()),
        ];
        let written = files.iter().try_for_each(|(file, text)| fs::write(directory.path().join(file), text));
        written.and_then(|()| only_mine(directory.path().join(".erlang.cookie"))).map_err(cannot_write)?;
        let local = "-kernel inet_dist_use_interface {127,0,0,1}".to_owned();
        let erlang: Vec<String> = [local].into_iter().chain(self.erlang.iter().cloned()).collect();
        Ok(Files { directory, erlang: erlang.join(" ") })
    }

    fn advanced_config(&self) -> String {
        let applications = self.advanced.iter().map(|(application, entries)| {
            let entries = entries.iter().fold(String::new(), |mut text, (key, term)| {
                let comma = if text.is_empty() { "" } else { "," };
                let _ = write!(text, "{comma}{{{key},{term}}}");
                text
            });
            format!("{{{application},[{entries}]}}")
        });
        format!("[{}].\n", applications.collect::<Vec<_>>().join(","))
    }
}

/// A node's directory.
#[derive(Debug)]
pub(super) struct Files {
    directory: TempDir,
    erlang: String,
}

impl Files {
    pub(super) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(super) fn erlang_arguments(&self) -> &str {
        &self.erlang
    }
}

/// A directory that ends with the value.
pub(super) fn directory() -> Result<TempDir> {
    tempfile::Builder::new().prefix("taskq-faults-rabbit").tempdir().map_err(cannot_write)
}

fn cannot_write(error: io::Error) -> Failure {
    Failure::new(format!("cannot write a node's files: {error}"))
}

/// Erlang insists on it.
fn only_mine(cookie: PathBuf) -> io::Result<()> {
    fs::set_permissions(cookie, fs::Permissions::from_mode(0o400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advanced_settings_are_grouped_by_application() {
        let settings =
            Settings::new().consumer_timeout(Duration::from_secs(10)).advanced("aten", "poll_interval", "1000");
        assert_eq!(
            settings.advanced_config(),
            "[{aten,[{poll_interval,1000}]},{rabbit,[{consumer_timeout,10000},{channel_tick_interval,1000}]}].\n"
        );
        assert_eq!(Settings::new().advanced_config(), "[].\n");
    }
}
