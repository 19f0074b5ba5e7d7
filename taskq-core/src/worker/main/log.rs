//! Where the log lines of a worker process go.

use super::args::LogFormat;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise. The AMQP library calls a connection that was closed on purpose an
/// error, and every other trouble is reported by the broker that uses it.
const WORKER: &str = "info,lapin=off";
/// The same for a question that is answered on stdout.
const INQUIRY: &str = "warn,lapin=off";

/// The log of a worker.
pub(super) fn install(format: LogFormat) {
    set(format, WORKER);
}

/// The log of a program that only answers a question.
pub(super) fn install_quiet() {
    set(LogFormat::Text, INQUIRY);
}

/// Writes log lines to stderr, unless the program has a subscriber of its own already.
fn set(format: LogFormat, default: &str) {
    let filter = std::env::var("RUST_LOG").map_or_else(|_| EnvFilter::new(default), EnvFilter::new);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let outcome = match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colours).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    };
    // The program's own subscriber stays.
    drop(outcome);
}
