use taskq_macros::task;

#[task(crate = taskq_core)]
async fn add(a: i64, b: i64) -> i64 {
    a + b.len()
}

#[task(crate = taskq_core)]
fn plain(a: i64) -> i64 {
    let text: &str = a;
    text
}

fn main() {}
