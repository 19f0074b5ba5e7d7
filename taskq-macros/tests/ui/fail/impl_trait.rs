use taskq_macros::task;

#[task(crate = taskq_core)]
async fn print(value: impl ToString) {
    drop(value.to_string());
}

#[task(crate = taskq_core)]
fn numbers() -> impl Iterator<Item = u8> {
    0..3
}

#[task(crate = taskq_core)]
fn later() -> impl Future<Output = u8> {
    async { 3 }
}

fn main() {}
