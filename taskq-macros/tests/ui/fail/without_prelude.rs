use taskq_macros::task;

#[task(crate = taskq_core)]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

async fn caller() {
    drop(add.kiq(1, 2));
}

fn main() {}
