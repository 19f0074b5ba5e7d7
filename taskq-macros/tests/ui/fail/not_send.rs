use taskq_macros::task;

use std::rc::Rc;

#[task(crate = taskq_core)]
async fn work(n: u8) -> u8 {
    let shared = Rc::new(n);
    tokio::task::yield_now().await;
    *shared
}

fn main() {}
