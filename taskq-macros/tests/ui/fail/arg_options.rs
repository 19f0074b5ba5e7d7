use taskq_macros::task;

#[task(crate = taskq_core)]
async fn work(#[arg(defualt)] a: u8, #[arg(rename = "x")] b: u8, #[arg(default, default = 3)] c: u8) -> u8 {
    a + b + c
}

fn main() {}
