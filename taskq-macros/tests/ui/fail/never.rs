use taskq_macros::task;

#[task(crate = taskq_core)]
async fn forever() -> ! {
    loop {}
}

fn main() {}
