use taskq_macros::task;

use std::borrow::Cow;

#[task(crate = taskq_core)]
async fn fixed(text: &'static str) -> usize {
    text.len()
}

#[task(crate = taskq_core)]
async fn optional(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

#[task(crate = taskq_core)]
async fn list(texts: Vec<&'static str>, slices: &[&str]) -> usize {
    texts.len() + slices.len()
}

#[task(crate = taskq_core)]
async fn hidden(text: Cow<str>) -> usize {
    text.len()
}

#[task(crate = taskq_core)]
async fn cow(text: Cow<'_, str>) -> usize {
    text.len()
}

fn main() {}
