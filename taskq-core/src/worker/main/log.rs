//! Where the log lines of a worker process go.

use super::args::LogFormat;
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise. The AMQP library calls a connection that was closed on purpose an
/// error, and every other trouble is reported by the broker that uses it.
const WORKER: &str = "info,lapin=off";
/// The same for a question that is answered on stdout.
const INQUIRY: &str = "warn,lapin=off";

/// The log of a worker. One of several says which one it is.
pub(super) fn install(format: LogFormat, index: Option<u32>) {
    set(format, index, WORKER);
}

/// The log of a program that only answers a question.
pub(super) fn install_quiet() {
    set(LogFormat::Text, None, INQUIRY);
}

/// Writes log lines to stderr, unless the program has a subscriber of its own already.
fn set(format: LogFormat, index: Option<u32>, default: &str) {
    let filter = std::env::var("RUST_LOG").map_or_else(|_| EnvFilter::new(default), EnvFilter::new);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Stderr { format, index });
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

/// Where lines go, with the number of the process before them if it is one of several: a span around the worker would not
/// reach what brokers and tasks say on threads of their own.
struct Stderr {
    format: LogFormat,
    index: Option<u32>,
}

impl Write for Stderr {
    /// Takes a whole line, as the formatter gives it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        let Some(index) = self.index else { return stderr.write(line) };
        let (prefix, rest) = match (self.format, line.strip_prefix(b"{")) {
            (LogFormat::Json, Some(fields)) => (format!("{{\"worker\":{index},"), fields),
            _ => (format!("worker={index} "), line),
        };
        // In one piece: the other processes write to the same place.
        stderr.write_all(&[prefix.as_bytes(), rest].concat())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
