//! `tasks`: what this program can run.

use super::table::table;
use crate::{app::App, defaults::TASK_TIMEOUT, error::WorkerError, task::TaskDef};
use serde_json::json;
use std::time::Duration;

/// The registered tasks, as a table or as JSON. Needs no server.
pub(super) fn list(app: &App, as_json: bool) -> Result<String, WorkerError> {
    let tasks = app.tasks()?;
    if as_json {
        let tasks: Vec<_> = tasks.iter().map(|def| object(app, def)).collect();
        return Ok(format!("{:#}\n", serde_json::Value::from(tasks)));
    }
    if tasks.is_empty() {
        return Err(WorkerError::NoTasks);
    }
    let rows: Vec<_> = tasks.iter().map(|def| row(app, def)).collect();
    Ok(table(["TASK", "QUEUE", "RETRY", "TIMEOUT", "DEFINED AT"], &rows))
}

/// The limit of one run, unless a worker is told another one for tasks that set none.
fn limit_of(def: &TaskDef) -> Duration {
    def.config.timeout.unwrap_or(TASK_TIMEOUT)
}

fn row(app: &App, def: &TaskDef) -> [String; 5] {
    [
        def.name.to_owned(),
        app.queue_of(def).to_owned(),
        def.config.retry.to_string(),
        humantime::format_duration(limit_of(def)).to_string(),
        def.location.to_string(),
    ]
}

fn object(app: &App, def: &TaskDef) -> serde_json::Value {
    json!({
        "name": def.name,
        "queue": app.queue_of(def),
        "retry": def.config.retry,
        "timeout_seconds": limit_of(def).as_secs_f64(),
        "file": def.location.file,
        "line": def.location.line,
    })
}
