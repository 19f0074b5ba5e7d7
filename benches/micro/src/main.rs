//! What single steps on a task's way cost. `cargo xtask bench --micro` builds and runs it.
//!
//! The steps are private. They are measured through `__bench` of their crates, which is there under `--cfg taskq_bench` only.

#[cfg(taskq_bench)]
mod codec;
#[cfg(taskq_bench)]
mod decide;
#[cfg(taskq_bench)]
mod delay;
#[cfg(taskq_bench)]
mod ledger;
#[cfg(taskq_bench)]
mod middleware;
#[cfg(taskq_bench)]
mod registry;
#[cfg(taskq_bench)]
mod sample;
#[cfg(taskq_bench)]
mod wire;

#[cfg(taskq_bench)]
fn main() {
    // Steps this small are told as well in a third of the usual time, and a change that matters without the last digit of a
    // confidence interval.
    let mut criterion = criterion::Criterion::default()
        .warm_up_time(std::time::Duration::from_secs(1))
        .measurement_time(std::time::Duration::from_secs(2))
        .nresamples(10_000)
        .configure_from_args();
    let all =
        [codec::bench, registry::bench, middleware::bench, decide::bench, delay::bench, ledger::bench, wire::bench];
    for bench in all {
        bench(&mut criterion);
    }
    criterion.final_summary();
}

#[cfg(not(taskq_bench))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "this measures what is private, and was built without it; run `cargo xtask bench --micro`, or set\n\
         RUSTFLAGS=\"--cfg taskq_bench\" and a CARGO_TARGET_DIR of its own for `cargo bench -p taskq-micro`"
    );
    std::process::ExitCode::FAILURE
}
