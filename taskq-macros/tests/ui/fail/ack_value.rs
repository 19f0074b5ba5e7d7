use taskq_macros::task;

#[task(crate = taskq_core, ack = "early")]
async fn work() {}

fn main() {}
