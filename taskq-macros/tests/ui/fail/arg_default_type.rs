use taskq_macros::task;

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Level(u8);

#[task(crate = taskq_core)]
async fn work(#[arg(default = "three")] a: u8) -> u8 {
    a
}

#[task(crate = taskq_core)]
async fn level(#[arg(default)] a: Level) -> u8 {
    a.0
}

fn main() {}
