use taskq_macros::task;

#[task(crate = taskq_core)]
extern "C" fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn main() {}
