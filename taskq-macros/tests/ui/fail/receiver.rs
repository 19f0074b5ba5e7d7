use taskq_macros::task;

struct Mailer;

impl Mailer {
    #[task(crate = taskq_core)]
    async fn send(&self, to: &str) -> usize {
        to.len()
    }
}

fn main() {}
