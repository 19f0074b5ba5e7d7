use taskq_macros::task;

mod axum {
    pub struct State<T>(pub T);
}
use axum::State;

#[task(crate = taskq_core)]
async fn work(state: State<u8>, n: u8) -> u8 {
    state.0 + n
}

fn main() {}
