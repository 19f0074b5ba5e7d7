//! Keeps a private server for as long as this process lives, however it ends.

use crate::{Result, probe};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The shell's stdin is a pipe from this process: it ends with it, even by Ctrl-C or a kill, and the shell then ends the
/// server and removes its files. `$1` is the server's directory, the rest its command line.
const KEEP: &str = r#"
trap '' INT
directory=$1; shift
exec >"$directory/log" 2>&1
if [ -n "${ERL_EPMD_PORT-}" ]; then epmd -address 127.0.0.1 & beside=$!; fi
"$@" & server=$!
read -r _
kill -TERM "$server"
wait "$server"
if [ -n "${beside-}" ]; then kill -TERM "$beside"; wait "$beside"; fi
rm -rf "$directory"
"#;

/// A private server that is running.
pub(crate) struct Keeper {
    shell: Child,
    stdin: Option<ChildStdin>,
}

impl Keeper {
    /// A shell that runs `script` with these arguments, and is told by the end of its stdin to clean up.
    pub(crate) fn shell(script: &str, arguments: &[&str], environment: &[(&str, String)]) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "keeper"]).args(arguments).stdin(Stdio::piped());
        shell.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut shell = shell.spawn().map_err(|error| format!("cannot run sh: {error}"))?;
        let stdin = shell.stdin.take();
        Ok(Keeper { shell, stdin })
    }

    /// Starts a server that keeps its files in `directory`, and waits until it answers.
    pub(crate) fn start(
        directory: &Path,
        command: &[&str],
        environment: &[(&str, String)],
        answers: impl Fn() -> bool,
    ) -> Result<Self> {
        let place = directory.to_string_lossy();
        let arguments: Vec<&str> = std::iter::once(&*place).chain(command.iter().copied()).collect();
        let keeper = Keeper::shell(KEEP, &arguments, environment)?;
        if !within(Duration::from_secs(120), answers) {
            let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
            return Err(format!("`{}` did not start within two minutes; it said:\n{log}", command.join(" ")));
        }
        Ok(keeper)
    }

    /// Waits for the shell to end by itself.
    pub(crate) fn wait(&mut self) -> bool {
        self.shell.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stdin = None;
        self.wait();
    }
}

/// A fresh directory for one server.
pub(crate) fn directory(name: &str) -> Result<PathBuf> {
    let port = probe::free_port().map_err(|error| format!("no free port: {error}"))?;
    let path = std::env::temp_dir().join(format!("taskq-test-{name}-{}-{port}", std::process::id()));
    fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
    Ok(path)
}

/// Whether `condition` holds before `limit` has passed.
pub(crate) fn within(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(100));
    }
    true
}
