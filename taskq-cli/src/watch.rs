//! Notices that sources have changed.

use anyhow::{Context, Result};
use notify::{Event, EventKind, RecursiveMode, Watcher, event::ModifyKind};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

/// An editor writes several files, and a file several times: a change is over when nothing more came for so long.
const QUIET: Duration = Duration::from_millis(300);
/// A change that goes on and on is acted on all the same.
const LONGEST: Duration = Duration::from_secs(3);

/// Tells when something under the watched directories has changed.
pub(crate) struct Watch {
    changes: mpsc::Receiver<()>,
    /// There was a change that nobody has been told of.
    pending: bool,
    _watcher: notify::RecommendedWatcher,
}

impl Watch {
    /// Watches these directories of sources, except for the build output and what is hidden.
    pub(crate) fn new(sources: &[PathBuf], target: &Path) -> Result<Self> {
        // One place is enough: what matters is that there was a change, not how many.
        let (sender, changes) = mpsc::channel(1);
        let output = target.to_owned();
        let told = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| matters(&event, &output)) {
                let _ = sender.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(told).context("cannot watch files")?;
        for source in sources {
            let mut watch = |path: &Path, mode| {
                watcher.watch(path, mode).with_context(|| format!("cannot watch {}", path.display()))
            };
            watch(source, RecursiveMode::NonRecursive)?;
            for directory in directories(source, target)? {
                watch(&directory, RecursiveMode::Recursive)?;
            }
        }
        Ok(Watch { changes, pending: false, _watcher: watcher })
    }

    /// Resolves when something has changed and all is quiet again. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        if !self.pending {
            self.changes.recv().await;
            self.pending = true;
        }
        let end = Instant::now() + LONGEST;
        while Instant::now() < end && timeout(QUIET, self.changes.recv()).await.is_ok() {}
        self.pending = false;
    }
}

/// The directories in `source` that may hold sources.
fn directories(source: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    // Other build directories bear cargo's mark of a cache.
    let holds_sources = |path: &PathBuf| path != target && !is_hidden(path) && !path.join("CACHEDIR.TAG").exists();
    Ok(paths.filter(|path| path.is_dir() && holds_sources(path)).collect())
}

fn matters(event: &Event, target: &Path) -> bool {
    let written = match event.kind {
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Any => true,
        EventKind::Modify(kind) => !matches!(kind, ModifyKind::Metadata(_)),
        _ => false,
    };
    written && event.paths.iter().any(|path| !path.starts_with(target) && !is_hidden(path))
}

/// Hidden files, and the copies that editors leave beside a file.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || name.ends_with('~')
}
