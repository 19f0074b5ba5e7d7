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

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// What makes cargo build with this cfg of the compiler. `target` is a place of its own: what is built with it may be used
/// for nothing else.
pub(crate) fn with_cfg(cfg: &str, target: &Path) -> [(&'static str, String); 2] {
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    let flags = format!("{flags} --cfg {cfg}").trim().to_owned();
    [("CARGO_TARGET_DIR", target.display().to_string()), ("RUSTFLAGS", flags)]
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
