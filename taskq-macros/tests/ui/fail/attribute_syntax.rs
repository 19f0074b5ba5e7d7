use taskq_macros::task;

#[task(crate = taskq_core, retry 3, timeout = , queue = "mail" name = "x", 5, expires = "1h")]
async fn work() {}

fn main() {}
