use taskq_macros::task;

#[task(crate = taskq_core)]
async fn work(#[cfg(unix)] _a: u8) {}

fn main() {}
