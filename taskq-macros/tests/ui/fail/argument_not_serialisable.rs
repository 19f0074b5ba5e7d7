use taskq_macros::task;

#[derive(Clone)]
pub struct Connection;

#[task(crate = taskq_core)]
pub async fn query(connection: Connection, text: &str) -> usize {
    drop(connection);
    text.len()
}

fn main() {}
