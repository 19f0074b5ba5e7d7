use taskq_macros::task;

#[task(crate = taskq_core)]
async fn store<T: serde::Serialize>(value: T) {
    drop(value);
}

#[task(crate = taskq_core)]
async fn sum<const N: usize>(values: [u8; N]) -> u8 {
    values.iter().sum()
}

#[task(crate = taskq_core)]
async fn borrow<'a>(text: &'a str) -> usize {
    text.len()
}

#[task(crate = taskq_core)]
async fn bounded(text: String) -> usize
where
    String: Clone,
{
    text.len()
}

fn main() {}
