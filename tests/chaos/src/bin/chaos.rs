//! The run itself: `cargo xtask chaos` builds and starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    taskq_chaos::run()
}
