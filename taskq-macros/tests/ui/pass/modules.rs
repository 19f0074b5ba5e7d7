//! Tasks of the same name in different modules, at every visibility.
use taskq_core::{Task, prelude::*};

mod mail {
    use taskq_macros::task;

    #[task(crate = taskq_core)]
    pub async fn send(to: &str) -> usize {
        to.len()
    }

    pub mod inner {
        use taskq_macros::task;

        #[task(crate = taskq_core)]
        pub(in crate::mail) async fn send(to: String) -> usize {
            super::send::inner(&to).await
        }

        #[task(crate = taskq_core)]
        async fn private() {
            drop(send("x".into()));
        }

        pub fn name() -> &'static str {
            <private as taskq_core::Task>::NAME
        }
    }

    pub fn both() {
        drop((send("x"), inner::send("x".into())));
    }
}

mod elsewhere {
    pub use super::mail::send;
}

fn main() {
    mail::both();
    drop(elsewhere::send.kiq("x"));
    drop(mail::send::inner("x"));
    assert!(<mail::send as Task>::NAME.ends_with("::mail::send"));
    assert!(mail::inner::name().ends_with("::mail::inner::private"));
}
