//! Runs cargo in the workspace.

use crate::Result;
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace's directory.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A cargo command in the workspace.
pub(crate) fn command(arguments: &[&str], environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace()).envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Runs cargo to its end, with its output for all to see.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, String)]) -> Result<()> {
    let line = format!("cargo {}", arguments.join(" "));
    println!("\n==> {line}");
    let status = command(arguments, environment).status().map_err(|error| format!("cannot run `{line}`: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("`{line}` failed")),
    }
}
