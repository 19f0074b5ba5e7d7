//! Tasks that a macro of the user's writes.
use taskq_core::prelude::*;
use taskq_macros::task;

macro_rules! doubling {
    ($name:ident, $arg:ident: $type:ty, $text:literal) => {
        #[task(crate = taskq_core, name = $text, retry = 2)]
        pub async fn $name($arg: $type, other: &str) -> Result<$type, String> {
            let twice = $arg + $arg;
            if other.is_empty() { Err(other.to_owned()) } else { Ok(twice) }
        }
    };
}

doubling!(double_small, x: u8, "double.small");
doubling!(double_large, other_x: u64, "double.large");

fn main() {
    drop((double_small.kiq(1, "x"), double_large.kiq(1, "x")));
}
