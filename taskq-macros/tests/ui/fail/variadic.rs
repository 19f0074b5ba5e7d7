use taskq_macros::task;

#[task(crate = taskq_core)]
fn sum(first: u8, rest: ...) -> u8 {
    first
}

fn main() {}
