//! Tasks that only a function knows, with types of its own.
use taskq_core::prelude::*;
use taskq_macros::task;

fn main() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Local(i64);

    #[task(crate = taskq_core)]
    async fn local(value: Local) -> Local {
        value
    }

    #[task(crate = taskq_core)]
    fn plain(value: Local) -> i64 {
        value.0
    }

    drop((local.kiq(Local(1)), plain.kiq(Local(1)), local(Local(2))));
    let _ = local::inner(Local(3));
    assert_eq!(plain::inner(Local(4)), 4);
}
