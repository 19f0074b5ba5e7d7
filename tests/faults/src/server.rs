//! A private server of either kind: started, killed, stopped, frozen.

use crate::{Failure, Result, process::Process, wait};
use std::{fmt, path::PathBuf, process::Command, time::Duration};

/// What one kind of server differs in from another.
pub trait Kind: fmt::Debug {
    /// What its process is called in failures.
    const PROGRAM: &'static str;
    /// Longer than it takes to start, on a machine that is busy.
    const START: Duration;
    /// Longer than it takes to stop.
    const STOP: Duration;

    /// What this one is called in failures.
    fn title(&self) -> String;

    /// What starts it, with the data and the port that it had.
    ///
    /// # Errors
    /// It is not installed.
    fn command(&self) -> Result<Command>;

    /// The file for what it prints.
    fn output(&self) -> PathBuf;

    /// Whether it lets clients in.
    fn answers(&self) -> impl Future<Output = bool> + Send;
}

/// A server of a test's own, on a port and in a directory of its own. Killed when dropped.
#[derive(Debug)]
pub struct Server<K> {
    pub(crate) kind: K,
    process: Option<Process>,
}

impl<K: Kind> Server<K> {
    /// One that does not run yet.
    pub(crate) fn of(kind: K) -> Server<K> {
        Server { kind, process: None }
    }

    /// The id of the process, if it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Whether there is a process, frozen or not.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.has_ended().is_none())
    }

    /// Starts the server, with the data and the port that it had, and waits until it lets clients in.
    ///
    /// # Errors
    /// It runs, or does not start.
    pub async fn run(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts the server and does not wait. A node of a cluster may wait for others before it lets clients in.
    ///
    /// # Errors
    /// It runs, or cannot be run.
    pub fn launch(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(Failure::new(format!("{} runs", self.kind.title())));
        }
        self.process = Some(Process::spawn(K::PROGRAM, self.kind.command()?, self.kind.output())?);
        Ok(())
    }

    /// Waits until the server lets clients in.
    ///
    /// # Errors
    /// It ends, or takes too long.
    pub async fn ready(&mut self) -> Result<()> {
        let Server { kind, process } = self;
        let process = process.as_mut().ok_or_else(|| does_not_run(kind))?;
        let answer = wait::until(K::START, async || match process.has_ended() {
            Some(status) => Some(Err(process.failure(&format!("ended ({status})")))),
            None => kind.answers().await.then_some(Ok(())),
        });
        let answer = answer.await;
        answer.unwrap_or_else(|| Err(process.failure(&format!("let nobody in within {:?}", K::START))))
    }

    /// Ends the server as a power cut would. One that does not run stays as it is.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops the server in an orderly way and waits until it has ended.
    ///
    /// # Errors
    /// It does not run, or takes too long.
    pub async fn stop(&mut self) -> Result<()> {
        let Server { kind, process } = self;
        process.as_mut().ok_or_else(|| does_not_run(kind))?.stop(K::STOP).await?;
        self.process = None;
        Ok(())
    }

    /// Stops the process as a debugger does (SIGSTOP): its sockets stay open, and nothing answers.
    ///
    /// # Errors
    /// The server does not run.
    pub fn freeze(&self) -> Result<()> {
        self.process()?.freeze()
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// The server does not run.
    pub fn thaw(&self) -> Result<()> {
        self.process()?.thaw()
    }

    fn process(&self) -> Result<&Process> {
        self.process.as_ref().ok_or_else(|| does_not_run(&self.kind))
    }
}

fn does_not_run(kind: &impl Kind) -> Failure {
    Failure::new(format!("{} does not run", kind.title()))
}
