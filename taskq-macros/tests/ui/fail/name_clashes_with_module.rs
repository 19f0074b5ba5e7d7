use taskq_macros::task;

mod add {}

#[task(crate = taskq_core)]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn main() {}
