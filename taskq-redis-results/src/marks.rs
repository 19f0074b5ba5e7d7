//! Runs of this process that need no claim, so that copies of their messages find them.
//!
//! One set per process, written for many runs together: what a run costs does not depend on how many there are.

use crate::{link::COMMAND_LIMIT, live::Shared, operations::millis, trouble::Trouble};
use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use taskq_core::TaskId;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};

/// How long a mark waits for others to be written together with.
const GATHER: Duration = Duration::from_millis(50);
/// How often a process says that it still runs what it has marked.
const REFRESH: Duration = Duration::from_secs(5);
/// How long the marks of a process that says nothing count.
const MARKS_TTL: Duration = Duration::from_secs(15);
const PROCESSES_TTL: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(crate) struct Marks {
    state: Mutex<State>,
    wanted: Notify,
}

/// A mark that the server does not know yet, and who waits for it to be told.
type New = (TaskId, oneshot::Sender<Result<(), Trouble>>);

#[derive(Default)]
struct State {
    /// How many runs of each task go on.
    marked: HashMap<TaskId, usize>,
    new: Vec<New>,
    /// What the server still counts and no longer should.
    gone: Vec<TaskId>,
    is_written: bool,
}

impl Marks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> (Vec<New>, Vec<TaskId>) {
        let mut state = self.state();
        let (new, mut gone) = (mem::take(&mut state.new), mem::take(&mut state.gone));
        gone.retain(|id| !state.marked.contains_key(id));
        (new, gone)
    }

    fn all(&self) -> Vec<TaskId> {
        self.state().marked.keys().cloned().collect()
    }

    /// Whether there is nothing left to write, and nobody writes from now on.
    fn is_over(&self) -> bool {
        let mut state = self.state();
        state.is_written = !(state.marked.is_empty() && state.new.is_empty() && state.gone.is_empty());
        !state.is_written
    }
}

/// Ends a mark.
pub(crate) struct Marked {
    shared: Arc<Shared>,
    id: TaskId,
}

impl Drop for Marked {
    fn drop(&mut self) {
        let mut state = self.shared.marks.state();
        let Some(runs) = state.marked.get_mut(&self.id) else { return };
        *runs -= 1;
        if *runs == 0 {
            state.marked.remove(&self.id);
            // Told with the next ones, or when the others are refreshed: nobody waits for it.
            state.gone.push(self.id.clone());
        }
    }
}

/// Marks a run; resolves when the server knows.
pub(crate) async fn mark(shared: &Arc<Shared>, handle: &Handle, id: &TaskId) -> Result<Marked, Trouble> {
    let (told, hears) = oneshot::channel();
    let marked = {
        let mut state = shared.marks.state();
        *state.marked.entry(id.clone()).or_default() += 1;
        state.new.push((id.clone(), told));
        if !mem::replace(&mut state.is_written, true) {
            handle.spawn(write(shared.clone()));
        }
        Marked { shared: shared.clone(), id: id.clone() }
    };
    shared.marks.wanted.notify_one();
    hears.await.unwrap_or_else(|_| Err(Trouble::closed()))?;
    Ok(marked)
}

/// Writes what changes, until nothing is marked any more.
async fn write(shared: Arc<Shared>) {
    // The server may never have heard of any, or have forgotten them.
    let mut knows = false;
    while !shared.marks.is_over() {
        if timeout(REFRESH, shared.marks.wanted.notified()).await.is_ok() {
            sleep(GATHER).await;
        }
        let (new, gone) = shared.marks.take();
        let added = if knows { new.iter().map(|(id, _)| id.clone()).collect() } else { shared.marks.all() };
        let told = tell(&shared, &added, &gone).await;
        knows = matches!(told, Ok(true));
        let told = told.map(drop);
        for (_, waiting) in new {
            // Its run may have ended meanwhile.
            let _ = waiting.send(told.clone());
        }
    }
}

/// Whether the server has all marks now.
async fn tell(shared: &Shared, added: &[TaskId], gone: &[TaskId]) -> Result<bool, Trouble> {
    let (marks, processes) = (shared.keys.marks(&shared.process), shared.keys.marking());
    let ids = |ids: &[TaskId]| ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    let mut commands = redis::pipe();
    if !gone.is_empty() {
        commands.cmd("SREM").arg(&marks).arg(ids(gone)).ignore();
    }
    if !added.is_empty() {
        commands.cmd("SADD").arg(&marks).arg(ids(added)).ignore();
        commands.cmd("SADD").arg(&processes).arg(&shared.process).ignore();
        commands.cmd("PEXPIRE").arg(&processes).arg(millis(PROCESSES_TTL)).ignore();
    }
    commands.cmd("PEXPIRE").arg(&marks).arg(millis(MARKS_TTL));
    let (is_there,): (bool,) = shared.link.ask(&commands, Some(COMMAND_LIMIT)).await?;
    Ok(is_there)
}

/// Whether any process has marked a run of the task.
pub(crate) async fn is_marked(shared: &Shared, id: &TaskId) -> Result<bool, Trouble> {
    let mut commands = redis::pipe();
    commands.cmd("SMEMBERS").arg(shared.keys.marking());
    let (processes,): (Vec<String>,) = shared.link.ask(&commands, Some(COMMAND_LIMIT)).await?;
    if processes.is_empty() {
        return Ok(false);
    }
    let mut commands = redis::pipe();
    for process in &processes {
        let marks = shared.keys.marks(process);
        commands.cmd("SISMEMBER").arg(&marks).arg(id.as_str()).cmd("EXISTS").arg(marks);
    }
    let answers: Vec<bool> = shared.link.ask(&commands, Some(COMMAND_LIMIT)).await?;
    let (has, lives): (Vec<bool>, Vec<bool>) = answers.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
    forget(shared, processes.iter().zip(lives).filter(|(_, lives)| !lives).map(|(process, _)| process)).await;
    Ok(has.contains(&true))
}

/// Lets go of processes that have marked nothing for long; one that marks something enters itself again.
async fn forget(shared: &Shared, processes: impl Iterator<Item = &String>) {
    let processes: Vec<&String> = processes.collect();
    if processes.is_empty() {
        return;
    }
    let mut commands = redis::pipe();
    commands.cmd("SREM").arg(shared.keys.marking()).arg(processes).ignore();
    if let Err(error) = shared.link.ask::<()>(&commands, Some(COMMAND_LIMIT)).await {
        tracing::debug!(%error, "processes that mark no runs are still looked at");
    }
}
