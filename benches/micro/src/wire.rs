//! A message to AMQP properties and headers, and back.

use crate::sample::{laden_message, message};
use criterion::Criterion;
use std::hint::black_box;
use taskq_amqp::__bench::{content, properties};
use taskq_core::Content;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    for (name, message) in [("a plain message", message()), ("all that a message can carry", laden_message())] {
        let (id, body) = (message.id.clone(), message.body.clone());
        let sent = Content::from(message);
        let Ok(came) = properties(&sent, &id) else { continue };
        group.bench_function(format!("to headers: {name}"), |bencher| {
            bencher.iter(|| properties(black_box(&sent), &id));
        });
        group.bench_function(format!("from headers: {name}"), |bencher| {
            bencher.iter(|| content(black_box(&came), body.clone()));
        });
    }
    group.finish();
}
