//! Runs the worker program.

use crate::{compile::Built, project::Project};
use anyhow::{Context, Result};
use std::{
    env,
    process::{Command, ExitCode},
};

/// The program in the crate's directory, with what `.env` there says; what the environment says already holds.
pub(crate) fn program(project: &Project, built: &Built, arguments: &[String]) -> Result<Command> {
    let directory = project.directory();
    let mut command = Command::new(&built.executable);
    command.args(arguments).current_dir(&directory);
    let file = directory.join(".env");
    if file.is_file() {
        // The error of a line would show the line, and secrets with it.
        let lines = dotenvy::from_path_iter(&file).ok().with_context(|| format!("cannot read {}", file.display()))?;
        for line in lines {
            let (name, value) =
                line.ok().with_context(|| format!("{} has a line that is not NAME=VALUE", file.display()))?;
            if env::var_os(&name).is_none() {
                command.env(name, value);
            }
        }
    }
    Ok(command)
}

/// Becomes the program: its signals, its process id and its exit code are this one's.
#[cfg(unix)]
pub(crate) fn become_program(project: &Project, built: &Built, arguments: &[String]) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = program(project, built, arguments)?.exec();
    Err(error).with_context(|| format!("cannot run {}", built.executable.display()))
}

/// Runs the program and passes its exit code on.
#[cfg(not(unix))]
pub(crate) fn become_program(project: &Project, built: &Built, arguments: &[String]) -> Result<ExitCode> {
    let status = program(project, built, arguments)?
        .status()
        .with_context(|| format!("cannot run {}", built.executable.display()))?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
