//! A private Redis.

use crate::{
    Result, install,
    keeper::{self, Keeper},
    probe,
};

/// The installed program.
pub(crate) fn program() -> Option<String> {
    install::find(&["redis-server", "valkey-server"])
}

/// Starts it on a port of its own, with nothing kept on disk.
pub(crate) fn start(program: &str) -> Result<(String, Keeper)> {
    let directory = keeper::directory("redis")?;
    let port = probe::free_port().map_err(|error| format!("no free port: {error}"))?;
    let (place, number) = (directory.to_string_lossy(), port.to_string());
    let command =
        [program, "--bind", "127.0.0.1", "--port", &number, "--dir", &place, "--save", "", "--appendonly", "no"];
    let keeper = Keeper::start(&directory, &command, &[], || probe::redis(port))?;
    Ok((format!("redis://127.0.0.1:{port}"), keeper))
}
