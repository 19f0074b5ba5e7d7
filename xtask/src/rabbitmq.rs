//! A private RabbitMQ.

use crate::{
    Result, install,
    keeper::{self, Keeper},
    probe,
};
use std::{fs, path::Path};

/// The installed program. Debian's own is a wrapper that insists on the user `rabbitmq` and its directories, so the
/// one behind it comes first.
pub(crate) fn program() -> Option<String> {
    install::find(&["/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"])
}

/// Starts it with ports, a node name, an Erlang cookie, a port mapper and directories of its own.
pub(crate) fn start(program: &str) -> Result<(String, Keeper)> {
    let directory = keeper::directory("rabbitmq")?;
    let [amqp, distribution, mapper] = free_ports()?;
    let environment = environment(&directory, amqp, distribution, mapper)?;
    let keeper = Keeper::start(&directory, &[program], &environment, || probe::rabbitmq(amqp))?;
    Ok((format!("amqp://guest:guest@127.0.0.1:{amqp}/%2f"), keeper))
}

fn free_ports() -> Result<[u16; 3]> {
    let port = || probe::free_port().map_err(|error| format!("no free port: {error}"));
    Ok([port()?, port()?, port()?])
}

fn environment(directory: &Path, amqp: u16, distribution: u16, mapper: u16) -> Result<Vec<(&'static str, String)>> {
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();
    for (file, text) in [("plugins", "[].\n"), ("rabbitmq.conf", ""), ("rabbitmq-env.conf", "")] {
        fs::write(at(file), text).map_err(|error| format!("cannot write {}: {error}", at(file)))?;
    }
    Ok(vec![
        // The Erlang cookie is kept there.
        ("HOME", at("")),
        ("ERL_EPMD_PORT", mapper.to_string()),
        ("RABBITMQ_NODENAME", format!("taskq-test-{amqp}@localhost")),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", amqp.to_string()),
        ("RABBITMQ_DIST_PORT", distribution.to_string()),
        ("RABBITMQ_MNESIA_BASE", at("data")),
        ("RABBITMQ_LOG_BASE", at("logs")),
        ("RABBITMQ_PID_FILE", at("pid")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins")),
        ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", at("rabbitmq-env.conf")),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
    ])
}
