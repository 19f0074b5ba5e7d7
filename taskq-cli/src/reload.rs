//! `--reload`: builds and starts the worker again whenever its sources change.

use crate::{
    args::{AppPath, BuildFlags},
    compile::Built,
    launch, make,
    project::Project,
    watch::Watch,
};
use anyhow::{Context, Result};
use std::process::{ExitCode, ExitStatus, Stdio};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    task::spawn_blocking,
};

/// Runs until it is asked to stop.
pub(crate) fn run(app: &AppPath, build: &BuildFlags, arguments: &[String]) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start")?;
    let outcome = runtime.block_on(async {
        let project = Project::find(app, build.manifest_path.as_deref())?;
        let watch = Watch::new(&project.source_directories()?, project.target())?;
        let reload = Reload { app, build, arguments, watch, signals: signals()?, worker: None };
        reload.run().await
    });
    // A build may still be running.
    runtime.shutdown_background();
    outcome
}

struct Reload<'a> {
    app: &'a AppPath,
    build: &'a BuildFlags,
    arguments: &'a [String],
    watch: Watch,
    signals: mpsc::Receiver<()>,
    worker: Option<Worker>,
}

/// What a wait ended with.
enum Woken {
    Changed,
    Signal,
    Ended(ExitStatus),
}

impl Reload<'_> {
    async fn run(mut self) -> Result<ExitCode> {
        if self.rebuild().await? == Next::Stop {
            return Ok(ExitCode::SUCCESS);
        }
        loop {
            match self.wait().await? {
                Woken::Signal => return self.stop().await,
                Woken::Ended(status) => {
                    self.worker = None;
                    eprintln!("the worker has ended ({status}); it starts again after the next change");
                }
                Woken::Changed => {
                    if self.rebuild().await? == Next::Stop {
                        return self.stop().await;
                    }
                }
            }
        }
    }

    async fn wait(&mut self) -> Result<Woken> {
        let ended = async {
            match &mut self.worker {
                Some(worker) => worker.child.wait().await,
                None => std::future::pending().await,
            }
        };
        Ok(tokio::select! {
            _ = self.signals.recv() => Woken::Signal,
            status = ended => Woken::Ended(status.context("cannot wait for the worker")?),
            () = self.watch.changed() => Woken::Changed,
        })
    }

    /// Builds; if there is something new, replaces the worker by it.
    async fn rebuild(&mut self) -> Result<Next> {
        let (app, build) = (self.app.clone(), self.build.clone());
        let making = spawn_blocking(move || make(&app, &build));
        let made = tokio::select! {
            made = making => made.context("the build was interrupted")?,
            _ = self.signals.recv() => return Ok(Next::Stop),
        };
        match made {
            Ok((_, built)) if built.fresh && self.worker.is_some() => Ok(Next::GoOn),
            Ok((project, built)) => self.replace(&project, &built).await,
            Err(error) => {
                let state = if self.worker.is_some() { "the old worker goes on" } else { "no worker runs" };
                eprintln!("error: {error:#}\n{state}; waiting for a change");
                Ok(Next::GoOn)
            }
        }
    }

    async fn replace(&mut self, project: &Project, built: &Built) -> Result<Next> {
        if let Some(mut old) = self.worker.take() {
            eprintln!("built; the old worker finishes its tasks");
            old.ask().await;
            tokio::select! {
                status = old.child.wait() => drop(status.context("cannot wait for the worker")?),
                _ = self.signals.recv() => {
                    self.worker = Some(old);
                    return Ok(Next::Stop);
                }
            }
        }
        self.worker = Some(Worker::start(project, built, self.arguments)?);
        Ok(Next::GoOn)
    }

    /// Lets the worker finish; a further signal stops it at once.
    async fn stop(mut self) -> Result<ExitCode> {
        let Some(mut worker) = self.worker.take() else { return Ok(ExitCode::SUCCESS) };
        // One that is being replaced has been asked already; twice would be at once.
        if !worker.asked {
            worker.ask().await;
        }
        loop {
            tokio::select! {
                status = worker.child.wait() => {
                    let code = status.context("cannot wait for the worker")?.code();
                    return Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
                }
                _ = self.signals.recv() => worker.ask().await,
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

/// The worker process that runs now. It hangs on a pipe: it stops by itself if this process dies.
struct Worker {
    child: Child,
    pipe: Option<ChildStdin>,
    asked: bool,
}

impl Worker {
    fn start(project: &Project, built: &Built, arguments: &[String]) -> Result<Self> {
        let mut command = Command::from(launch::program(project, built, arguments)?);
        command.arg("--parent-pipe").stdin(Stdio::piped());
        // Ctrl-C reaches the whole group of the terminal: the worker is told by its pipe instead, once.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", built.executable.display()))?;
        let pipe = child.stdin.take();
        Ok(Worker { child, pipe, asked: false })
    }

    /// One request to stop.
    async fn ask(&mut self) {
        self.asked = true;
        if let Some(pipe) = &mut self.pipe {
            // If nobody reads, it has ended, which is what was wanted.
            let _ = pipe.write_all(b"\n").await;
        }
    }
}

/// One value per SIGTERM or Ctrl-C.
fn signals() -> Result<mpsc::Receiver<()>> {
    let (sender, signals) = mpsc::channel(8);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
        tokio::spawn(async move {
            loop {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
    }
    #[cfg(not(unix))]
    tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(()).await.is_ok() {} });
    Ok(signals)
}
