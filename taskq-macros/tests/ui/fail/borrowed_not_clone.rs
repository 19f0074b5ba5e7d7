use taskq_macros::task;

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Image(Vec<u8>);

#[task(crate = taskq_core)]
pub async fn resize(image: &Image) -> usize {
    image.0.len()
}

fn main() {}
