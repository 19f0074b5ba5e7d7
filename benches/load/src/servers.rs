//! The servers under load: on this machine, and found by their ports.

use crate::procfs;
use anyhow::{Context, Result, bail};
use std::{
    env,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Both servers, and their processes where the system shows them.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    pub(crate) amqp: String,
    pub(crate) redis: String,
    pub(crate) rabbitmq_version: String,
    pub(crate) redis_version: String,
    rabbitmq_pid: Option<u32>,
    redis_pid: Option<u32>,
}

/// CPU seconds that the servers have used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerCpu {
    pub(crate) rabbitmq: Option<f64>,
    pub(crate) redis: Option<f64>,
}

impl Servers {
    /// Those that the environment names, or the usual ones of this machine.
    pub(crate) fn find() -> Result<Self> {
        let amqp = variable("TASKQ_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f");
        let redis = variable("TASKQ_TEST_REDIS_URL", "redis://127.0.0.1:6379");
        let (rabbitmq_port, redis_port) = (local_port(&amqp, 5672)?, local_port(&redis, 6379)?);
        Ok(Servers {
            rabbitmq_version: rabbitmq_version(rabbitmq_port).context("RabbitMQ does not answer")?,
            redis_version: redis_version(redis_port).context("Redis does not answer")?,
            rabbitmq_pid: procfs::listener(rabbitmq_port),
            redis_pid: procfs::listener(redis_port),
            amqp,
            redis,
        })
    }

    pub(crate) fn cpu(&self) -> ServerCpu {
        ServerCpu { rabbitmq: self.rabbitmq_pid.and_then(procfs::cpu), redis: self.redis_pid.and_then(procfs::cpu) }
    }
}

fn variable(name: &str, default: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// Load is for this machine only.
fn local_port(url: &str, default: u16) -> Result<u16> {
    let address = url.split_once("://").map_or(url, |(_, rest)| rest);
    let address = address.split('/').next().unwrap_or(address);
    let address = address.rsplit_once('@').map_or(address, |(_, host)| host);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, port.parse()?),
        None => (address, default),
    };
    match host {
        "127.0.0.1" | "localhost" | "[::1]" => Ok(port),
        _ => bail!("the load is for servers of this machine, not for `{host}`"),
    }
}

/// The server introduces itself with its version.
fn rabbitmq_version(port: u16) -> Result<String> {
    let start = asked(port, b"AMQP\x00\x00\x09\x01", b'\xce')?;
    let name = b"versionS";
    let at = start.windows(name.len()).position(|window| window == name).map(|at| at + name.len());
    let length = at.and_then(|at| start.get(at..)?.first_chunk().map(|length| u32::from_be_bytes(*length)));
    let text = at.zip(length).and_then(|(at, length)| start.get(at + 4..at + 4 + usize::try_from(length).ok()?));
    Ok(String::from_utf8_lossy(text.unwrap_or(b"unknown")).into_owned())
}

fn redis_version(port: u16) -> Result<String> {
    let info = asked(port, b"INFO server\r\nPING\r\n", b'G')?;
    let info = String::from_utf8_lossy(&info);
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown");
    Ok(version.trim().to_owned())
}

/// What comes until this byte ends what has come.
fn asked(port: u16, question: &[u8], end: u8) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question)?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut part)?;
        answer.extend(&part[..length]);
        if length == 0 || answer.trim_ascii_end().last() == Some(&end) {
            return Ok(answer);
        }
    }
}
