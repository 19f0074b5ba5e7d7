//! Asking and telling a node.

use super::{Rabbit, settings::COOKIE};
use crate::{Failure, Result, program};
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// What makes a node stop reading from connections that publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// It uses more memory than it may.
    Memory,
    /// Less disk space is free than must be.
    Disk,
}

impl Rabbit {
    /// Runs `rabbitmqctl` and gives what it prints, without headers. It takes a second or two of a core.
    ///
    /// # Errors
    /// It failed: the text is what it said.
    pub async fn ctl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.kind.program(&self.kind.program.with_file_name("rabbitmqctl"));
        command.args(["--quiet", "--no-table-headers", "-n", self.name()]).args(arguments);
        let shown = format!("rabbitmqctl {}", arguments.join(" "));
        let output = blocking(&shown, move || command.output()).await?;
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(Failure::new(format!("`{shown}` failed: {}{}", text(&output.stdout), text(&output.stderr)))),
        }
    }

    /// Evaluates an Erlang expression in the node and gives its value as text. Within milliseconds, where Erlang's
    /// `erl_call` is installed.
    ///
    /// # Errors
    /// The node does not answer, or the expression fails.
    pub async fn eval(&self, expression: &str) -> Result<String> {
        let Some(caller) = program::locate("erl_call") else {
            return Ok(self.ctl(&["eval", expression]).await?.trim_end().to_owned());
        };
        let mut command = self.kind.program(&caller);
        command.args(["-sname", self.name(), "-c", COOKIE, "-e"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let sentence = format!("{expression}.\n");
        let output = blocking("erl_call", move || say(command, &sentence)).await?;
        let said = text(&output.stdout);
        let value = said.trim().strip_prefix("{ok, ").and_then(|value| value.strip_suffix('}'));
        value.map(str::to_owned).ok_or_else(|| {
            Failure::new(format!("{} did not evaluate `{expression}`: {said}{}", self.name(), text(&output.stderr)))
        })
    }

    /// Writes down what the node would write within a second. RabbitMQ 3.10 saves the names of its quorum queues twice a
    /// second: one that was declared just before a [`kill`](Self::kill) has lost its log afterwards, and refuses every
    /// publish.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn sync(&self) -> Result<()> {
        self.eval("[ok = dets:sync(Table) || Table <- dets:all()]").await.map(drop)
    }

    /// Raises an alarm, or ends it. In a cluster it holds up the publishers of all nodes.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn set_alarm(&self, alarm: Alarm, raised: bool) -> Result<()> {
        // The limits that RabbitMQ itself has are these when the alarm is over: 0.4 of the memory, 50 MB of the disk.
        let expression = match (alarm, raised) {
            (Alarm::Memory, true) => "vm_memory_monitor:set_vm_memory_high_watermark(0)",
            (Alarm::Memory, false) => "vm_memory_monitor:set_vm_memory_high_watermark(0.4)",
            (Alarm::Disk, true) => "rabbit_disk_monitor:set_disk_free_limit(1000000000000000)",
            (Alarm::Disk, false) => "rabbit_disk_monitor:set_disk_free_limit(50000000)",
        };
        self.eval(expression).await.map(drop)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn say(mut command: Command, sentence: &str) -> std::io::Result<Output> {
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(sentence.as_bytes())?;
    }
    child.wait_with_output()
}

/// Runs a command where it may block.
async fn blocking(shown: &str, run: impl FnOnce() -> std::io::Result<Output> + Send + 'static) -> Result<Output> {
    let output = tokio::task::spawn_blocking(run).await;
    let output = output.map_err(|error| Failure::new(format!("`{shown}` was given up: {error}")))?;
    output.map_err(|error| Failure::new(format!("`{shown}` cannot be run: {error}")))
}
