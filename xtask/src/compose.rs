//! Servers by docker compose, on the ports of docker-compose.yml.

use crate::{Result, cargo, keeper::Keeper, servers::Kind};
use std::process::{Command, Stdio};

/// The service is stopped when this process ends, however it ends: stdin is a pipe from it.
const KEEP: &str = r#"
trap '' INT
read -r _
docker compose stop "$1"
"#;

/// Starts the service, waits until it is healthy, and stops it with the value that is returned.
pub(crate) fn start(kind: &Kind) -> Result<Keeper> {
    println!("{}: by docker compose", kind.name);
    let up = Command::new("docker")
        .args(["compose", "up", "--detach", "--wait", kind.compose_service])
        .current_dir(cargo::workspace())
        .stdin(Stdio::null())
        .status();
    match up {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("failed ({status})")),
        Err(error) => return Err(format!("cannot be run ({error})")),
    }
    let file = cargo::workspace().join("docker-compose.yml").to_string_lossy().into_owned();
    Keeper::shell(KEEP, &[kind.compose_service], &[("COMPOSE_FILE", file)])
}
