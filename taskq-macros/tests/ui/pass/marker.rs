//! The type beside the function under another name, where its own would clash with a module.
use taskq_core::{Task, prelude::*};
use taskq_macros::task;

mod add {
    pub fn two() -> i64 {
        2
    }
}

#[task(crate = taskq_core, marker = AddTask)]
pub async fn add(a: i64, b: i64) -> i64 {
    a + b + add::two()
}

fn main() {
    drop(add.kiq(1, 2));
    let _: Call<AddTask> = add(1, 2);
    drop(AddTask::inner(1, 2));
    assert!(<AddTask as Task>::NAME.ends_with("::add"));
}
