//! Erlang's port mapper, through which nodes find each other by name.

use crate::{Result, ports::Port, process::Process, program};
use std::process::Command;

/// One of our own: nodes may then have any name, and no stranger is met.
#[derive(Debug)]
pub(super) struct Mapper {
    port: Port,
    directory: tempfile::TempDir,
    process: Option<Process>,
}

impl Mapper {
    pub(super) fn start() -> Result<Mapper> {
        let directory = super::settings::directory()?;
        let mut mapper = Mapper { port: Port::free()?, directory, process: None };
        let mut command = Command::new(program::find(&["epmd"], "erlang-base")?);
        command.args(["-address", "127.0.0.1", "-port", &mapper.port.number().to_string()]);
        mapper.process = Some(Process::spawn("epmd", command, mapper.directory.path().join("log"))?);
        Ok(mapper)
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }
}
