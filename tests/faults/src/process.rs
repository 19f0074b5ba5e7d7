//! A server's process: signalled by its id, gone with its owner.

use crate::{Failure, Result, wait};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// Its stdin is a pipe from this process. It ends with this process, even by a kill, and then the guard ends the server.
const GUARD: &str = r#"read -r _; kill -s KILL -- "-$1""#;

/// As many lines of a log as hold the cause: Erlang says it first and then shows its whole tree.
const TAIL: usize = 80;

/// A process in a group of its own. Killed when dropped, frozen or not.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    guard: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Runs `command`, with what it prints in the file `log`.
    pub(crate) fn spawn(name: &'static str, mut command: Command, log: PathBuf) -> Result<Process> {
        let failed = |error| Failure::new(format!("cannot run {name}: {error}"));
        let output = File::create(&log).map_err(failed)?;
        command.process_group(0).stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(failed)?).stderr(output);
        let mut child = command.spawn().map_err(failed)?;
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard", &child.id().to_string()]);
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        match guard.spawn() {
            Ok(guard) => Ok(Process { name, child, guard, log, ended: None }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(failed(error))
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Stops the process as a debugger does: its sockets stay open, and nothing answers.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let sent = match self.ended {
            // Its number may be another process's by now.
            Some(_) => Err(rustix::io::Errno::SRCH),
            None => kill_process_group(Pid::from_child(&self.child), signal),
        };
        sent.map_err(|error| Failure::new(format!("cannot signal {}: {error}\n{}", self.name, self.log_tail())))
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // One that has ended by itself is no longer there to be killed, which is as good.
        let _ = self.signal(Signal::KILL);
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(&mut self, patience: Duration) -> Result<()> {
        // A frozen process hears nothing but this.
        self.thaw()?;
        self.signal(Signal::TERM)?;
        match wait::until(patience, async || self.has_ended()).await {
            Some(_) => Ok(()),
            None => Err(self.failure(&format!("did not stop within {patience:?}"))),
        }
    }

    /// What went wrong with it, and the end of its log.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        Failure::new(format!("{} {what}; the end of its log:\n{}", self.name, self.log_tail()))
    }

    fn log_tail(&self) -> String {
        log_tail(&self.log)
    }
}

fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
