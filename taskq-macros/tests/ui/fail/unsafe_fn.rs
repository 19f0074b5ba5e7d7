use taskq_macros::task;

#[task(crate = taskq_core)]
unsafe fn poke(address: usize) {
    let _ = address;
}

fn main() {}
