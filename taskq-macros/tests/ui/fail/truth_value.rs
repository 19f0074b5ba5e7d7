use taskq_macros::task;

#[task(crate = taskq_core, store_result = "no", dead_letter, track = 1, marker = "Work", fallible = maybe)]
async fn work() {}

fn main() {}
