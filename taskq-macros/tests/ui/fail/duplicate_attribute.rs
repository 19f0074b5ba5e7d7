use taskq_macros::task;

#[task(crate = taskq_core, retry = 3, timeout = "1s", retry = 4)]
async fn work() {}

fn main() {}
