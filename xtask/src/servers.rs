//! Which RabbitMQ and Redis to use: those of the environment, else of localhost, else private ones.

use crate::{Result, compose, install, keeper::Keeper, probe, rabbitmq, redis};
use std::env;

/// What to do about a server that is neither running nor installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Name the command that installs it.
    Name,
    /// Install it.
    Install,
}

/// One of the two kinds of server.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The environment variable that tests read.
    test_variable: &'static str,
    /// The environment variable that applications read.
    app_variable: &'static str,
    pub(crate) package: &'static str,
    pub(crate) compose_service: &'static str,
    local_url: &'static str,
    local_port: u16,
    answers: fn(u16) -> bool,
    program: fn() -> Option<String>,
    start: fn(&str) -> Result<(String, Keeper)>,
}

pub(crate) const RABBITMQ: Kind = Kind {
    name: "RabbitMQ",
    test_variable: "TASKQ_TEST_AMQP_URL",
    app_variable: "TASKQ_AMQP_URL",
    package: "rabbitmq-server",
    compose_service: "rabbitmq",
    local_url: "amqp://guest:guest@127.0.0.1:5672/%2f",
    local_port: 5672,
    answers: probe::rabbitmq,
    program: rabbitmq::program,
    start: rabbitmq::start,
};

pub(crate) const REDIS: Kind = Kind {
    name: "Redis",
    test_variable: "TASKQ_TEST_REDIS_URL",
    app_variable: "TASKQ_REDIS_URL",
    package: "redis-server",
    compose_service: "redis",
    local_url: "redis://127.0.0.1:6379",
    local_port: 6379,
    answers: probe::redis,
    program: redis::program,
    start: redis::start,
};

/// A server that answers. A private one ends with this value, and with this process.
struct Server {
    kind: &'static Kind,
    url: String,
    _private: Option<Keeper>,
}

/// Both servers.
pub(crate) struct Servers([Server; 2]);

impl Servers {
    /// Both servers, started where they do not run yet.
    pub(crate) fn find_or_start(missing: Missing) -> Result<Self> {
        Ok(Servers([Server::find_or_start(&RABBITMQ, missing)?, Server::find_or_start(&REDIS, missing)?]))
    }

    /// What the tests read.
    pub(crate) fn test_env(&self) -> Vec<(&'static str, String)> {
        self.0.iter().map(|server| (server.kind.test_variable, server.url.clone())).collect()
    }

    /// What the examples read.
    pub(crate) fn example_env(&self) -> Vec<(&'static str, String)> {
        self.0.iter().map(|server| (server.kind.app_variable, server.url.clone())).collect()
    }
}

impl Server {
    fn find_or_start(kind: &'static Kind, missing: Missing) -> Result<Self> {
        if let Some(url) = env::var(kind.test_variable).ok().filter(|url| !url.is_empty()) {
            println!("{}: the one of {}", kind.name, kind.test_variable);
            return Ok(Server { kind, url, _private: None });
        }
        if (kind.answers)(kind.local_port) {
            println!("{}: the one on localhost:{}", kind.name, kind.local_port);
            return Ok(Server { kind, url: kind.local_url.to_owned(), _private: None });
        }
        if (kind.program)().is_none() && missing == Missing::Install {
            install::package(kind.package)?;
        }
        if let Some(program) = (kind.program)() {
            println!("{}: a private one, by {program}", kind.name);
            let (url, keeper) = (kind.start)(&program)?;
            return Ok(Server { kind, url, _private: Some(keeper) });
        }
        let keeper = compose::start(kind).map_err(|why| unavailable(kind, &why))?;
        Ok(Server { kind, url: kind.local_url.to_owned(), _private: Some(keeper) })
    }
}

fn unavailable(kind: &Kind, why: &str) -> String {
    format!(
        "there is no {}: none at {}, none on localhost:{}, none installed, and docker compose {why}\n\
         install it with `{}`, or by `cargo xtask test --install`",
        kind.name,
        kind.test_variable,
        kind.local_port,
        install::command_line(kind.package),
    )
}
