use taskq_macros::task;

#[task(crate = taskq_core, retries = 3)]
async fn near() {}

#[task(crate = taskq_core, colour = "red")]
async fn far() {}

#[task(crate = taskq_core, priority = 5)]
async fn priority() {}

fn main() {}
