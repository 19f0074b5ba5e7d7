//! The way of a delayed message through the levels.

use criterion::Criterion;
use std::{hint::black_box, time::Duration};
use taskq_amqp::__bench::{target, way};
use taskq_core::Origin;

const QUEUE: &str = "taskq.v1.q.mail";

/// About a day, with about half of its bits set.
const DELAY: Duration = Duration::from_millis(90_061_500);

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delay");
    for (name, origin) in
        [("exchange and key, caller's", Origin::Caller), ("exchange and key, worker's", Origin::Worker)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| way(black_box(DELAY), origin, QUEUE));
        });
    }
    let (_, key) = way(DELAY, Origin::Caller, QUEUE).unwrap_or_default();
    group.bench_function("the target of a key", |bencher| {
        bencher.iter(|| target(black_box(&key)));
    });
    group.finish();
}
