//! A worker process to be killed.

fn main() -> std::process::ExitCode {
    taskq::worker::main!(taskq_process_tests::app)
}
