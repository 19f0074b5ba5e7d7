use taskq_macros::task;

use taskq_core::TaskContext;

#[task(crate = taskq_core)]
async fn work(ctx: TaskContext, n: u8) -> u32 {
    ctx.attempt() + u32::from(n)
}

async fn caller() -> u32 {
    work(1).await
}

fn main() {}
