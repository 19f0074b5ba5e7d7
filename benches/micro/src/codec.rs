//! Arguments to bytes and back.

use crate::sample::{AddArgs, CONTENT_TYPES, MailArgs, add_args, mail_args};
use criterion::{Criterion, Throughput};
use serde::{Serialize, de::DeserializeOwned};
use std::hint::black_box;
use taskq_core::__bench::{decode, encode};

pub(crate) fn bench(criterion: &mut Criterion) {
    both_ways::<AddArgs>(criterion, "two numbers", &add_args());
    both_ways::<MailArgs>(criterion, "a mail", &mail_args());
}

fn both_ways<T: Serialize + DeserializeOwned>(criterion: &mut Criterion, what: &str, args: &T) {
    let mut group = criterion.benchmark_group("codec");
    for (name, content_type) in CONTENT_TYPES {
        let Ok(bytes) = encode(content_type, args) else { continue };
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("encode {what}, {name}"), |bencher| {
            bencher.iter(|| encode(content_type, black_box(args)));
        });
        group.bench_function(format!("decode {what}, {name}"), |bencher| {
            bencher.iter(|| decode::<T>(content_type, black_box(&bytes)));
        });
    }
    group.finish();
}
