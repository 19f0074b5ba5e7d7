use taskq_macros::task;

fn about_text(_: &String) -> bool {
    true
}

#[task(crate = taskq_core, retry = 1, retry_on = about_text)]
async fn work() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {}
