use taskq_macros::task;

pub struct Pool;

#[task(crate = taskq_core)]
async fn work(#[inject] pool: Pool) {
    drop(pool);
}

fn main() {}
