//! From what happened to what follows.

use crate::sample::{ADD, message};
use bytes::Bytes;
use criterion::Criterion;
use std::{hint::black_box, time::Duration};
use taskq_core::{__bench::decide, Message, Outcome, TaskError};

pub(crate) fn bench(criterion: &mut Criterion) {
    let (first, mut last) = (with_retries(), with_retries());
    last.attempt = last.retry + 1;
    let failed = || Outcome::failed("the mail server is away");
    let cases = [
        ("done", Outcome::Done(Bytes::from_static(&[42])), &first),
        ("failed, to be retried", failed(), &first),
        ("failed for the last time", failed(), &last),
        ("permanent error", Outcome::failed(TaskError::permanent("no such mailbox")), &first),
        ("timed out", Outcome::TimedOut(Duration::from_secs(30)), &first),
    ];
    let mut group = criterion.benchmark_group("decide");
    for (name, outcome, message) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter(|| decide(black_box(&outcome), message, &ADD.config, 0.5));
        });
    }
    group.finish();
}

fn with_retries() -> Message {
    let mut message = message();
    message.retry = ADD.config.retry;
    message
}
