use taskq_macros::task;

#[task(crate = taskq_core, queue = "mail.#")]
async fn wildcard() {}

#[task(crate = taskq_core, queue = "mail..x")]
async fn dots() {}

#[task(crate = taskq_core, queue = "mail.dead")]
async fn dead() {}

#[task(crate = taskq_core, queue = "taskq.v1.x")]
async fn reserved() {}

fn main() {}
