use taskq_macros::task;

#[task(crate = taskq_core)]
async fn first(text: &str) -> &str {
    &text[..1]
}

#[task(crate = taskq_core)]
async fn found(text: &str) -> Result<Option<&'static str>, String> {
    Err(text.to_owned())
}

fn main() {}
