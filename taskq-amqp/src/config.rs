//! What a user says about a broker.

use crate::{address::Address, link::Role};
use std::{env, fmt, fs, path::Path, process, time::Duration};
use taskq_core::BrokerError;

/// Asked of the server; a silent peer is noticed after two to three of them.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(7);

#[derive(Clone)]
pub(crate) struct Config {
    urls: Vec<String>,
    /// An environment variable that should have held a URL and did not.
    missing: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) heartbeat: Duration,
}

impl Config {
    pub(crate) fn new(urls: Vec<String>) -> Config {
        Config { urls, missing: None, app: None, heartbeat: HEARTBEAT }
    }

    pub(crate) fn from_env_var(name: &str) -> Config {
        match env::var(name) {
            Ok(url) if !url.trim().is_empty() => Config::new(vec![url.trim().to_owned()]),
            _ => Config { missing: Some(name.to_owned()), ..Config::new(Vec::new()) },
        }
    }

    pub(crate) fn add(&mut self, url: String) {
        self.urls.push(url);
    }

    /// # Errors
    /// [`BrokerError::Address`].
    pub(crate) fn addresses(&self) -> Result<Vec<Address>, BrokerError> {
        if let Some(name) = &self.missing {
            let reason =
                format!("the environment variable {name} is not set; set it to `amqp://user:password@host:5672/vhost`");
            return Err(BrokerError::Address { reason });
        }
        if self.urls.is_empty() {
            return Err(BrokerError::Address { reason: "no host is given".into() });
        }
        self.urls.iter().map(|url| Address::parse(url, self.heartbeat)).collect()
    }

    /// What the server shows for a connection.
    pub(crate) fn connection_name(&self, role: Role) -> String {
        let app = self.app.clone().or_else(program).unwrap_or_else(|| "app".into());
        format!("taskq/{app}/{}/{}/{}", host(), process::id(), role.short_name())
    }
}

impl fmt::Debug for Config {
    /// Without URLs: they hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.addresses().unwrap_or_default().iter().map(Address::shown).collect();
        f.debug_struct("Config").field("hosts", &hosts).field("app", &self.app).finish_non_exhaustive()
    }
}

fn program() -> Option<String> {
    Path::new(&env::args_os().next()?).file_stem().map(|name| name.to_string_lossy().into_owned())
}

fn host() -> String {
    let from_file = || fs::read_to_string("/etc/hostname").ok();
    let name = env::var("HOSTNAME").or_else(|_| env::var("COMPUTERNAME")).ok().or_else(from_file);
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".into())
}
