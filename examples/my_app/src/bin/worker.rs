//! The worker as a binary of one's own; `taskq worker my_app::broker` builds and runs the same.

fn main() -> std::process::ExitCode {
    taskq::worker::main!(my_app::broker)
}
