//! A publisher that `cargo xtask chaos` starts and kills.

use std::process::ExitCode;

fn main() -> ExitCode {
    taskq_chaos::publish()
}
