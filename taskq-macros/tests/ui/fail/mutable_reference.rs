use taskq_macros::task;

#[task(crate = taskq_core)]
async fn push(list: &mut Vec<u8>) {
    list.push(1);
}

fn main() {}
