//! Where the log lines of a worker process go.

use super::args::LogFormat;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Writes log lines to stderr, unless the program has a subscriber of its own already.
pub(super) fn install(format: LogFormat) {
    let filter = match std::env::var("RUST_LOG") {
        Ok(rules) => EnvFilter::new(rules),
        Err(_) => EnvFilter::new("info"),
    };
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
