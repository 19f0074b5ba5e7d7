use taskq_macros::task;

#[task(crate = taskq_core, result_ttl = "1h", store_result = false)]
async fn work() -> u8 {
    3
}

fn main() {}
