//! Requests to stop: the first one is graceful, the second immediate, the third ends the process where it stands.

use super::exit::Exit;
use std::{io::BufRead, thread};
use tokio_util::sync::CancellationToken;

/// How far stopping has come. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    /// No further tasks are taken; running ones finish.
    pub(super) graceful: CancellationToken,
    /// Running tasks are given back.
    pub(super) immediate: CancellationToken,
}

impl Stop {
    /// Listens to SIGTERM and SIGINT (Ctrl-C elsewhere), and to the parent process if there is one.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub(super) fn armed(parent_pipe: bool) -> std::io::Result<Self> {
        let stop = Stop::default();
        listen(stop.clone())?;
        if parent_pipe {
            let stop = stop.clone();
            thread::spawn(move || stop.obey(std::io::stdin().lock()));
        }
        Ok(stop)
    }

    /// One more request.
    pub(super) fn request(&self) {
        if !self.graceful.is_cancelled() {
            self.graceful.cancel();
        } else if !self.immediate.is_cancelled() {
            self.immediate.cancel();
        } else {
            std::process::exit(Exit::GaveBack.code().into());
        }
    }

    /// One more request, by a person or by what runs this process.
    fn signal(&self) {
        match self.graceful.is_cancelled() {
            false => tracing::info!("stopping: running tasks may finish; a second signal stops at once"),
            true => tracing::warn!("stopping at once: running tasks are given back"),
        }
        self.request();
    }

    /// Each byte is a request. The end means that the parent is gone: nobody is left to work for.
    fn obey(&self, parent: impl BufRead) {
        for byte in parent.bytes() {
            match byte {
                Ok(_) => self.request(),
                Err(_) => break,
            }
        }
        if !self.graceful.is_cancelled() {
            tracing::warn!("stopping: the process that started this one is gone");
            self.request();
        }
    }
}

#[cfg(unix)]
fn listen(stop: Stop) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => stop.signal(),
                _ = interrupt.recv() => stop.signal(),
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn listen(stop: Stop) -> std::io::Result<()> {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            stop.signal();
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_asks_with_bytes_and_by_going_away() {
        let asked = |bytes: &'static [u8]| {
            let stop = Stop::default();
            stop.obey(bytes);
            (stop.graceful.is_cancelled(), stop.immediate.is_cancelled())
        };
        assert_eq!(asked(b""), (true, false));
        assert_eq!(asked(b"x"), (true, false));
        assert_eq!(asked(b"xx"), (true, true));
    }
}
