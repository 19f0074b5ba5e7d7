//! The watermark of acks: deliveries come in, are settled in some order, and the server is told of them together.

use criterion::{Criterion, Throughput};
use std::hint::black_box;
use taskq_amqp::__bench::Ledger;

/// Deliveries per batch.
const BATCH: u64 = 100;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(BATCH));
    let in_order: Vec<u64> = (0..BATCH).collect();
    let shuffled: Vec<u64> = (0..BATCH).map(|at| at * 37 % BATCH).collect();
    for (name, order) in [("settled in order", &in_order), ("settled in any order", &shuffled)] {
        group.bench_function(format!("{BATCH} {name}"), |bencher| {
            let (mut ledger, mut floor) = (Ledger::default(), 0);
            bencher.iter(|| {
                floor += BATCH;
                settle(&mut ledger, floor - BATCH, black_box(order))
            });
        });
    }
    group.bench_function(format!("{BATCH} behind one that goes on"), |bencher| {
        let (mut ledger, mut floor) = (Ledger::default(), 0);
        bencher.iter(|| {
            floor += BATCH;
            // The first of each batch ends in the next one, so that no batch can be told by a watermark alone.
            if floor > BATCH {
                ledger.ack(floor - 2 * BATCH + 1);
            }
            settle(&mut ledger, floor - BATCH, black_box(&in_order[1..]))
        });
    });
    group.finish();
}

/// A whole batch is delivered, and of it these are settled.
fn settle(ledger: &mut Ledger, floor: u64, settled: &[u64]) -> (Option<u64>, usize) {
    (0..BATCH).for_each(|_| ledger.deliver());
    for at in settled {
        ledger.ack(floor + at + 1);
    }
    ledger.take()
}
