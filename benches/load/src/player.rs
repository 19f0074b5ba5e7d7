//! A process with a role, as the program that started it sees it.

use crate::protocol::{GO, Orders, Place, ROLE, Report, Role, STOP, Told};
use anyhow::{Context, Result, bail};
use std::{env, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// Ends when it is dropped.
pub(crate) struct Player {
    process: Child,
    cues: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    role: Role,
}

impl Player {
    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(place: &Place, role: Role) -> Result<Self> {
        let orders = serde_json::to_string(&Orders { place: place.clone(), role })?;
        let mut process = Command::new(env::current_exe()?)
            .args([ROLE, &orders])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (cues, answers) = (process.stdin.take().context("no stdin")?, process.stdout.take().context("no stdout")?);
        let mut player = Player { process, cues, answers: BufReader::new(answers).lines(), role };
        match player.told().await? {
            Told::Ready => Ok(player),
            Told::Done(_) => bail!("{role:?} was done before it began"),
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    pub(crate) async fn go(&mut self) -> Result<()> {
        self.cue(GO).await
    }

    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.cue(STOP).await
    }

    /// Waits until it is done.
    pub(crate) async fn done(&mut self) -> Result<Report> {
        match self.told().await? {
            Told::Done(report) => Ok(report),
            Told::Ready => bail!("{:?} was ready twice", self.role),
        }
    }

    async fn cue(&mut self, cue: &str) -> Result<()> {
        self.cues.write_all(format!("{cue}\n").as_bytes()).await?;
        Ok(self.cues.flush().await?)
    }

    async fn told(&mut self) -> Result<Told> {
        let Ok(line) = timeout(PATIENCE, self.answers.next_line()).await else {
            bail!("{:?} said nothing for {PATIENCE:?}", self.role)
        };
        match line? {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => bail!("{:?} ended without an answer", self.role),
        }
    }
}
