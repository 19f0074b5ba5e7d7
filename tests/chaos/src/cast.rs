//! Who takes part in a run, and what each is told by its environment.

use crate::{ledger::Ledger, plan::Queue};
use std::{env, io, path::PathBuf};
use taskq::prelude::*;

/// Where ledgers are kept.
pub(crate) const LEDGERS: &str = "TASKQ_CHAOS_LEDGERS";
/// The name that a process signs its lines with.
pub(crate) const PROCESS: &str = "TASKQ_CHAOS_PROCESS";
/// The URLs of the brokers, separated by spaces.
pub(crate) const BROKERS: &str = "TASKQ_CHAOS_BROKERS";
/// The URL of the result store.
pub(crate) const RESULTS: &str = "TASKQ_CHAOS_RESULTS";

/// Shorter than many an absence of the store, so that results go the other way too.
const RESULT_PATIENCE: &str = "3s";

pub(crate) fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|_| io::Error::other(format!("{name} is not set: `cargo xtask chaos` sets it")))
}

pub(crate) fn ledger() -> io::Result<Ledger> {
    Ledger::open(&ledgers()?, &variable(PROCESS)?)
}

pub(crate) fn ledgers() -> io::Result<PathBuf> {
    Ok(PathBuf::from(variable(LEDGERS)?))
}

/// The app of a process, at the addresses of its environment.
pub(crate) fn app_of_process() -> io::Result<App> {
    let process = variable(PROCESS)?;
    Ok(app(&process, variable(BROKERS)?.split_whitespace(), &variable(RESULTS)?))
}

pub(crate) fn app<'a>(process: &str, brokers: impl IntoIterator<Item = &'a str>, results: &str) -> App {
    let brokers: Vec<_> = brokers.into_iter().collect();
    let (first, others) = brokers.split_first().unwrap_or((&"", &[]));
    let broker = AmqpBroker::new(*first).hosts(others.iter().copied()).name(process);
    let app = broker.with_result_backend(RedisResults::new(results)).with_result_patience(RESULT_PATIENCE);
    Queue::DECLARED.into_iter().fold(app, |app, queue| app.with_queue(queue.spec(!others.is_empty())))
}

/// Lets the kernel end this process when the one that started it is gone, be it killed.
pub(crate) fn end_with_parent() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}
