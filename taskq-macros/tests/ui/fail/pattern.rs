use taskq_macros::task;

#[task(crate = taskq_core)]
async fn area((width, height): (u32, u32)) -> u32 {
    width * height
}

#[task(crate = taskq_core)]
async fn ignore(_: u32) {}

#[task(crate = taskq_core)]
async fn by_ref(ref text: String) -> usize {
    text.len()
}

fn main() {}
