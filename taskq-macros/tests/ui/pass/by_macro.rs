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
    drop((made::fragments.kiq(1, "x", 3), made::here.kiq(1)));
    assert_eq!(made::here::inner(1), 0);
}

#[macro_use]
pub mod queues {
    pub use taskq_core;

    macro_rules! task_of_crate {
        ($name:ident, $taskq:path, $retry_on:path, $owned:ty, $borrowed:ty, $default:expr) => {
            #[task(crate = $taskq, retry = 1, retry_on = $retry_on, marker = Marker)]
            pub async fn $name(
                value: $owned,
                text: $borrowed,
                state: State<$owned>,
                #[arg(default = $default)] more: u8,
            ) -> Result<$owned, String> {
                drop((state, more));
                Err(text.to_owned() + &value.to_string())
            }
        };
    }

    macro_rules! task_of_this_crate {
        ($name:ident) => {
            #[task(crate = $crate::queues::taskq_core)]
            pub fn $name(value: u8) -> u8 {
                if value == 0 { 0 } else { $name(value - 1) }
            }
        };
    }
}

fn always(_: &String) -> bool {
    true
}

pub mod made {
    use super::{State, always, task};
    task_of_crate!(fragments, taskq_core, always, u8, &str, 1 + 2);
    task_of_this_crate!(here);
}
