//! A module with a `Result`, an `Ok`, a `Some` and a `Box` of its own.
use taskq_macros::task;

pub type Result<T> = std::result::Result<T, std::io::Error>;
pub type Fallible2<T> = std::result::Result<T, String>;
pub struct Option;
pub struct Box;
pub struct String2;
#[allow(non_snake_case)]
pub fn Ok() {}
#[allow(non_snake_case)]
pub fn Some() {}
mod core {}
mod std2 {}

#[task(crate = taskq_core, retry = 1)]
pub async fn read(path: &str) -> Result<u64> {
    std::result::Result::Ok(path.len() as u64)
}

#[task(crate = taskq_core, fallible)]
pub async fn renamed(n: u32) -> Fallible2<u32> {
    std::result::Result::Err(n.to_string())
}

#[task(crate = taskq_core)]
pub fn plain(n: u32) -> u32 {
    n
}

type Output<T> = <T as taskq_core::Task>::Output;

fn main() {
    let _: Output<read> = 1u64;
    let _: Output<renamed> = 1u32;
    let _: Output<plain> = 1u32;
    let _: Output<exam> = marks::Result { mark: 1 };
    let _ = (read("x"), renamed(1), plain(1));
}

mod marks {
    /// A `Result` that is none.
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Result {
        pub mark: u8,
    }
}

#[task(crate = taskq_core, fallible = false)]
pub async fn exam(mark: u8) -> marks::Result {
    marks::Result { mark }
}
