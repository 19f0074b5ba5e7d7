use taskq_macros::task;

pub struct Connection;

#[task(crate = taskq_core)]
pub async fn connect(host: String) -> Connection {
    drop(host);
    Connection
}

#[task(crate = taskq_core)]
pub async fn try_connect(host: String) -> Result<Connection, String> {
    Err(host)
}

fn main() {}
