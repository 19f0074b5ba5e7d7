use taskq_macros::task;

#[task(crate = taskq_core)]
pub struct Work;

#[task(crate = taskq_core)]
fn body();

fn main() {}
