use taskq_macros::task;

#[task(crate = taskq_core, retry = "3")]
async fn text() {}

#[task(crate = taskq_core, retry = -1)]
async fn negative() {}

#[task(crate = taskq_core, retry = 99999999999)]
async fn large() {}

#[task(crate = taskq_core, retry)]
async fn nothing() {}

#[task(crate = taskq_core, retry(max = 3))]
async fn list() {}

fn main() {}
