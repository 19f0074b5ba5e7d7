use taskq_macros::task;

#[task(crate = taskq_core, fallible)]
async fn get(url: &str) -> String {
    url.to_owned()
}

fn main() {}
