//! Programs of this machine, and how missing ones are installed.

use crate::Result;
use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

/// The first of these programs that is installed: a path, or a name on the search path.
pub(crate) fn find(programs: &[&str]) -> Option<String> {
    programs.iter().find_map(|program| on_path(program))
}

fn on_path(program: &str) -> Option<String> {
    if program.contains('/') {
        return Path::new(program).is_file().then(|| program.to_owned());
    }
    // Debian keeps servers in sbin, which is not on every user's path.
    let search = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&search).chain([Path::new("/usr/sbin").to_owned()]);
    let mut files = directories.map(|directory| directory.join(program));
    files.find(|file| file.is_file()).map(|file| file.to_string_lossy().into_owned())
}

/// What a person would type.
pub(crate) fn command_line(package: &str) -> String {
    format!("sudo apt-get install {package}")
}

/// Installs a Debian package.
pub(crate) fn package(package: &str) -> Result<()> {
    if find(&["apt-get"]).is_none() {
        println!("{package}: there is no apt-get here");
        return Ok(());
    }
    println!("{package}: installing");
    apt_get(&["update"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", package])
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(if is_root() { "env" } else { "sudo" });
    let status =
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`apt-get {}` failed ({status})", arguments.join(" "))),
        Err(error) => Err(format!("cannot run `apt-get {}`: {error}", arguments.join(" "))),
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}
