//! A crate with strict lints gets no warning for what the macro made.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, dead_code, unused, non_camel_case_types)]
#![deny(rust_2018_idioms, single_use_lifetimes, unused_qualifications, trivial_casts, let_underscore_drop)]

mod hidden {
    use taskq_core::prelude::*;
    use taskq_macros::task;

    /// A task that nobody here calls.
    #[task(crate = taskq_core)]
    pub(crate) async fn sub(a: i64, tags: &[String]) -> i64 {
        a + tags.len() as i64
    }

    #[task(crate = taskq_core, retry = 2)]
    async fn private(_ctx: TaskContext, state: State<u8>, mut a: i64) -> Result<i64, String> {
        a += i64::from(*state);
        Ok(a)
    }

    #[task(crate = taskq_core)]
    fn plain(_: State<u8>, a: i64) -> i64 {
        a
    }

    #[task(crate = taskq_core)]
    pub(super) fn nothing() {}
}

fn main() {
    drop(hidden::nothing());
}
