use taskq_macros::task;

#[task(crate = taskq_core, timeout = 300)]
async fn number() {}

#[task(crate = taskq_core, timeout = "300")]
async fn unit() {}

#[task(crate = taskq_core, timeout = "5 apples")]
async fn apples() {}

#[task(crate = taskq_core, timeout = "0s")]
async fn zero() {}

#[task(crate = taskq_core, expires = "0s", result_ttl = "soon")]
async fn others() {}

fn main() {}
