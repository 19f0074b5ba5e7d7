use taskq_macros::task;

use taskq_core::{State, TaskContext};

#[task(crate = taskq_core)]
async fn work(ctx: &TaskContext, pool: &State<u8>) -> u8 {
    let _ = ctx.attempt();
    **pool
}

fn main() {}
