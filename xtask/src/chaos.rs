//! `cargo xtask chaos`: builds the chaos test with its processes, and runs it.

use crate::{Result, cargo};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Passes everything on but `--bug NAME`, which plants a bug in the library first: the run then succeeds if it finds it.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut passed_on = arguments.to_vec();
    let bug = match passed_on.iter().position(|argument| argument == "--bug") {
        Some(at) if at + 1 < passed_on.len() => passed_on.drain(at..=at + 1).next_back(),
        Some(_) => return Err("`--bug` takes the name of a bug; tests/chaos/src/bugs.rs lists them".into()),
        None => None,
    };
    let target = target(bug.as_deref());
    cargo::run(&["build", "--release", "--package", "taskq-chaos"], &environment(bug.as_deref(), &target))?;
    if !passed_on.iter().any(|argument| argument.starts_with("--out")) {
        passed_on.extend(["--out".into(), target.join("chaos").display().to_string()]);
    }
    let program = target.join("release").join("chaos");
    let status = Command::new(&program).args(&passed_on).status();
    match status.map_err(|error| format!("cannot run {}: {error}", program.display()))?.code() {
        Some(0) => Ok(()),
        Some(1) if bug.is_some() => Err("the planted bug was not found".into()),
        Some(1) => Err("the run does not hold".into()),
        _ => Err("the run could not be made".into()),
    }
}

/// A bug is built in a place of its own.
fn target(bug: Option<&str>) -> PathBuf {
    match bug {
        Some(bug) => cargo::target().join("bugs").join(bug),
        None => cargo::target(),
    }
}

fn environment(bug: Option<&str>, target: &Path) -> Vec<(&'static str, String)> {
    match bug {
        Some(bug) => cargo::with_cfg(&format!("taskq_bug=\"{bug}\""), target).into(),
        None => vec![("CARGO_TARGET_DIR", target.display().to_string())],
    }
}
