//! From a name to its task, among as many as a large application has.

use crate::sample::ADD;
use criterion::Criterion;
use std::hint::black_box;
use taskq_core::{__bench::Registry, TaskDef};

const TASKS: usize = 300;

pub(crate) fn bench(criterion: &mut Criterion) {
    let Ok(registry) = Registry::build(&defs()) else { return };
    let mut group = criterion.benchmark_group("registry");
    group.bench_function(format!("a task among {TASKS}"), |bencher| {
        bencher.iter(|| registry.get(black_box(ADD.name)).map(|def| def.config.retry));
    });
    group.bench_function(format!("an unknown name among {TASKS}"), |bencher| {
        bencher.iter(|| registry.get(black_box("my_app::tasks::gone")).is_some());
    });
    group.finish();
}

fn defs() -> Vec<TaskDef> {
    (0..TASKS).map(|number| if number == 0 { ADD } else { named(format!("my_app::tasks::task_{number}")) }).collect()
}

fn named(name: String) -> TaskDef {
    let mut def = ADD;
    def.name = name.leak();
    def
}
