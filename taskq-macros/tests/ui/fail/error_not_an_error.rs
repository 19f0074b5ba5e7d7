use taskq_macros::task;

pub enum Trouble {
    Small,
}

#[task(crate = taskq_core)]
async fn get(url: &str) -> Result<String, Trouble> {
    let _ = url;
    Err(Trouble::Small)
}

fn main() {}
