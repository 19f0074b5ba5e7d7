//! The line between a process with a role and the program that started it.

use crate::{
    clock,
    protocol::{GO, Report, STOP, Told},
};
use anyhow::{Result, bail};
use std::{
    io::{BufRead, Write, stdin, stdout},
    process, thread,
};
use tokio::sync::watch;

/// How far the program wants this process to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    Wait,
    Go,
    Stop,
}

/// Waits for cues, and answers. When the program is gone, so is this process.
#[derive(Clone)]
pub(crate) struct Cue(watch::Receiver<Stage>);

impl Cue {
    pub(crate) fn listen() -> Self {
        let (heard, stage) = watch::channel(Stage::Wait);
        thread::spawn(move || {
            for line in stdin().lock().lines().map_while(std::io::Result::ok) {
                match line.as_str() {
                    GO => heard.send_replace(Stage::Go),
                    STOP => heard.send_replace(Stage::Stop),
                    _ => continue,
                };
            }
            process::exit(0);
        });
        Cue(stage)
    }

    /// Says that all is prepared, and waits for the cue to begin.
    pub(crate) async fn ready(&mut self) -> Result<Stopwatch> {
        tell(&Told::Ready)?;
        self.wait_for(Stage::Go).await?;
        Ok(Stopwatch { began: clock::now(), cpu: clock::own_cpu() })
    }

    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.wait_for(Stage::Stop).await
    }

    async fn wait_for(&mut self, wanted: Stage) -> Result<()> {
        match self.0.wait_for(|stage| *stage >= wanted).await {
            Ok(_) => Ok(()),
            Err(_) => bail!("nobody gives cues any more"),
        }
    }
}

/// Says something to the program that started this process.
pub(crate) fn tell(told: &Told) -> Result<()> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    let mut out = stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// From the cue to the end.
pub(crate) struct Stopwatch {
    pub(crate) began: u64,
    cpu: f64,
}

impl Stopwatch {
    /// A report of so many tasks, done from the cue until now.
    pub(crate) fn report(&self, tasks: u64) -> Report {
        self.report_since(self.began, tasks)
    }

    /// A report of so many tasks, done from that moment until now.
    pub(crate) fn report_since(&self, began: u64, tasks: u64) -> Report {
        let seconds = clock::seconds(clock::now().saturating_sub(began));
        Report { tasks, seconds, cpu: clock::own_cpu() - self.cpu, ..Report::default() }
    }
}
