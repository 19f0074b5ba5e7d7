use taskq_macros::task;

use taskq_core::TaskContext;

#[task(crate = taskq_core)]
async fn work(#[inject] #[arg] ctx: TaskContext) {
    drop(ctx);
}

#[task(crate = taskq_core)]
async fn works(#[inject(pool)] ctx: TaskContext) {
    drop(ctx);
}

fn main() {}
