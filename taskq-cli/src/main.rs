//! `taskq`: builds the worker program of a crate and runs it.
//!
//! A task cannot be loaded at run time, so this command writes a crate of three lines beside the user's build output,
//! whose `main` is `taskq::worker::main!(my_app::broker)`, lets cargo build it, and runs what comes out. A crate that
//! has such a program of its own names it: `[package.metadata.taskq] worker-bin = "worker"`.
#![allow(clippy::print_stdout, reason = "a command talks to the person who runs it")]

mod args;
mod compile;
mod launch;
mod manifest;
mod project;
mod reload;
mod shim;
mod watch;

use anyhow::{Context, Result};
use args::{AppPath, BuildFlags, Cli, Command};
use clap::{CommandFactory, Parser, error::ErrorKind};
use compile::Built;
use project::Project;
use std::{fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Worker { app, flags, build, reload: true } => reload::run(&app, &build, &flags.to_args()),
        Command::Worker { app, flags, build, reload: false } => start(&app, &build, &flags.to_args()),
        Command::Tasks { app, json, build } => {
            let json = json.then(|| "--json".to_owned());
            start(&app, &build, &["tasks".to_owned()].into_iter().chain(json).collect::<Vec<_>>())
        }
        Command::Dead(command) => {
            let wrong = |reason| Cli::command().error(ErrorKind::ValueValidation, reason).exit();
            let (app, build, arguments) = command.to_args().unwrap_or_else(wrong);
            start(&app, build, &arguments)
        }
        Command::Build { app, output, build } => build_to(&app, &build.or_release(), &output),
    }
}

/// Builds, and becomes the worker program.
fn start(app: &AppPath, build: &BuildFlags, arguments: &[String]) -> Result<ExitCode> {
    let (project, built) = make(app, build)?;
    launch::become_program(&project, &built, arguments)
}

fn build_to(app: &AppPath, build: &BuildFlags, output: &Path) -> Result<ExitCode> {
    let (_, built) = make(app, build)?;
    // A program that runs cannot be written to, but another can take its name.
    let beside = output.with_extension("new");
    fs::copy(&built.executable, &beside)
        .and_then(|_| fs::rename(&beside, output))
        .with_context(|| format!("cannot write {}", output.display()))?;
    println!("{}", output.display());
    Ok(ExitCode::SUCCESS)
}

/// The worker program of this app.
fn make(app: &AppPath, build: &BuildFlags) -> Result<(Project, Built)> {
    let project = Project::find(app, build.manifest_path.as_deref())?;
    let built = match project.worker_bin() {
        Some(bin) => compile::worker_bin(&project, bin, build)?,
        None => shim::build(&project, app, build)?,
    };
    Ok((project, built))
}
