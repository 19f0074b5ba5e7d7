use taskq_macros::task;

fn always(_: &String) -> bool {
    true
}

#[task(crate = taskq_core, retry = 1, retry_on = always)]
async fn plain() -> u8 {
    3
}

#[task(crate = taskq_core, retry = 1, retry_on = |_| true)]
async fn closure() -> Result<u8, String> {
    Ok(3)
}

fn main() {}
