use taskq_macros::task;

#[task(crate = taskq_core, retry = 1, backoff = "5s")]
async fn bare() {}

#[task(crate = taskq_core, retry = 1, backoff = "exp(1)")]
async fn unit() {}

#[task(crate = taskq_core, retry = 1, backoff = "exp(1s, 2)")]
async fn factor() {}

#[task(crate = taskq_core, retry = 1, backoff = "exp(1m, max = 1s)")]
async fn max() {}

#[task(crate = taskq_core, retry = 1, backoff = "list()")]
async fn list() {}

#[task(crate = taskq_core, retry = 1, backoff = 5)]
async fn number() {}

fn main() {}
