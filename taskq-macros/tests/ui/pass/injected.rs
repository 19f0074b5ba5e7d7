//! All that a parameter of the worker may be.
use taskq_core::{BoxError, FromContext, StateMap, prelude::*};
use taskq_macros::task;

#[derive(Debug)]
pub struct Pool {
    size: usize,
}

pub struct Tenant(String);

impl FromContext for Tenant {
    async fn from_context(ctx: &TaskContext) -> Result<Self, BoxError> {
        Ok(Tenant(ctx.labels().get("tenant").ok_or("the label `tenant` is missing")?.clone()))
    }
}

/// axum has a `State` too.
mod axum {
    pub struct State<T>(pub T);
}
#[allow(unused_imports)]
use axum::State as AxumState;

#[task(crate = taskq_core)]
pub async fn patterns(
    State(pool): State<Pool>,
    #[inject] Tenant(tenant): Tenant,
    _: TaskContext,
    a: i64,
    #[allow(unused_variables)] unused: taskq_core::State<String>,
) -> usize {
    pool.size + tenant.len() + a as usize
}

#[task(crate = taskq_core)]
pub fn plain(State(pool): State<Pool>, mut ctx: TaskContext, #[inject] Tenant(tenant): Tenant, _: State<u8>) -> usize {
    ctx = ctx.clone();
    pool.size + tenant.len() + ctx.attempt() as usize
}

#[task(crate = taskq_core)]
pub async fn only_context(taskq_context: taskq_core::TaskContext) -> Result<(), TaskError> {
    Err(TaskError::discard(taskq_context.task_id().to_string()))
}

fn missing<T: taskq_core::Run>() -> String {
    T::check(&StateMap::default()).unwrap_err().to_string()
}

fn main() {
    drop((patterns.kiq(1), plain.kiq(), only_context.kiq()));
    assert!(missing::<patterns>().contains("Pool"));
    assert!(missing::<plain>().contains("Pool"));
    assert!(<only_context as taskq_core::Run>::check(&StateMap::default()).is_ok());
}
