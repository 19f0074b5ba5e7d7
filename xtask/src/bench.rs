//! `cargo xtask bench`: builds the load program as it would be shipped, and runs it on the servers that tests use. With
//! `--micro`: what needs no server.

use crate::{
    Result, cargo,
    servers::{Missing, Servers},
};

/// Passes everything on.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some(at) = arguments.iter().position(|argument| argument == "--micro") {
        return micro(&[&arguments[..at], &arguments[at + 1..]].concat());
    }
    let servers = Servers::find_or_start(Missing::Name)?;
    let mut run = vec!["run", "--release", "--quiet", "--package", "taskq-load", "--"];
    run.extend(arguments.iter().map(String::as_str));
    cargo::run(&run, &servers.test_env())
}

/// The steps that are measured are private but under this cfg.
fn micro(arguments: &[String]) -> Result<()> {
    let mut run = vec!["bench", "--package", "taskq-micro", "--bench", "micro", "--"];
    run.extend(arguments.iter().map(String::as_str));
    cargo::run(&run, &cargo::with_cfg("taskq_bench", &cargo::target().join("micro")))
}
