//! A worker that `cargo xtask chaos` starts and kills.

use std::process::ExitCode;

fn main() -> ExitCode {
    match taskq_chaos::prepare_worker() {
        Ok(()) => taskq::worker::main!(taskq_chaos::worker_app),
        Err(_) => ExitCode::FAILURE,
    }
}
