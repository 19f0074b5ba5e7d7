//! `cargo xtask bench`: builds the load program as it would be shipped, and runs it on the servers that tests use.

use crate::{
    Result, cargo,
    servers::{Missing, Servers},
};

/// Passes everything on.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let servers = Servers::find_or_start(Missing::Name)?;
    let mut run = vec!["run", "--release", "--quiet", "--package", "taskq-load", "--"];
    run.extend(arguments.iter().map(String::as_str));
    cargo::run(&run, &servers.test_env())
}
