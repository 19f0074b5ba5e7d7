//! The onion around a run, and what is at its core. Nothing in it waits, so that a single poll is all of a run.

use crate::sample::{ADD, message};
use criterion::Criterion;
use futures_util::FutureExt;
use std::{hint::black_box, sync::Arc};
use taskq_core::{__bench, BoxFuture, BrokerExt, InMemoryBroker, Middleware, Next, Outcome, TaskContext};

const LAYERS: [usize; 3] = [0, 1, 4];

/// Looks at what came from within, as any middleware does that is worth having.
struct Look;

impl Middleware for Look {
    fn call<'a>(&'a self, ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let outcome = next.run(ctx).await;
            black_box(&outcome);
            outcome
        })
    }
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let ctx = __bench::context(&InMemoryBroker::new().into_app(), message());
    let mut group = criterion.benchmark_group("middleware");
    group.bench_function("the task alone: decode, run, encode", |bencher| {
        bencher.iter(|| task(&ctx).now_or_never());
    });
    for layers in LAYERS {
        let middleware: Vec<Arc<dyn Middleware>> = (0..layers).map(|_| Arc::new(Look) as Arc<dyn Middleware>).collect();
        group.bench_function(format!("the task under {layers}"), |bencher| {
            bencher.iter(|| run(black_box(&middleware), &ctx));
        });
    }
    group.finish();
}

fn run(middleware: &[Arc<dyn Middleware>], ctx: &TaskContext) -> Option<Outcome> {
    let handler = |ctx: &TaskContext| -> BoxFuture<'_, Outcome> { task(ctx) };
    __bench::onion(middleware, &handler, ctx).now_or_never()
}

fn task(ctx: &TaskContext) -> BoxFuture<'static, Outcome> {
    __bench::run(&ADD, ctx)
}
