//! `taskq worker --reload`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use support::{Place, Running};

const LIB: &str = include_str!("support/my_app.rs");

/// The crate's source, with a mark that its worker says.
fn marked(mark: &str) -> String {
    LIB.replace("\"greeting=", &format!("\"{mark} greeting="))
}

#[test]
fn a_change_replaces_the_worker_and_a_build_that_fails_does_not() {
    let place = Place::with_crate("reload", &[("src/lib.rs", &marked("first"))]);
    let mut command = place.start(&["worker", "my_app::broker", "--reload"]);
    command.line_with("first greeting=");
    command.line_with("concurrency  prefetch");

    place.write("src/lib.rs", "pub fn broker() -> taskq::App { 7 }");
    command.line_with("expected `App`, found integer");
    command.line_with("the old worker goes on; waiting for a change");

    place.write("src/lib.rs", &marked("second"));
    command.line_with("the old worker finishes its tasks");
    command.line_with("second greeting=");
    command.line_with("concurrency  prefetch");

    command.terminate();
    let (status, said) = command.ended();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    let starts = said.iter().filter(|line| line.contains("greeting=")).count();
    assert_eq!(starts, 2, "{said:#?}");
}

#[test]
fn a_crate_that_does_not_build_at_first_starts_when_it_does() {
    let place = Place::with_crate("reload-late", &[("src/lib.rs", "")]);
    let mut command = place.start(&["worker", "my_app::broker", "--reload"]);
    command.line_with("error: `my_app::broker` cannot be used");
    command.line_with("no worker runs; waiting for a change");
    place.write("src/lib.rs", LIB);
    command.line_with("greeting=");
    command.line_with("concurrency  prefetch");
    command.terminate();
    assert_eq!(command.ended().0.code(), Some(0));
}

#[test]
fn all_processes_of_a_worker_are_replaced() {
    let place = Place::with_crate("reload-workers", &[("src/lib.rs", &marked("first"))]);
    let mut command = place.start(&["worker", "my_app::broker", "--reload", "--workers", "2"]);
    let both_say = |command: &mut Running, mark: &str| {
        for _ in 0..2 {
            command.line_with(&format!("{mark} greeting="));
        }
        command.line_with("concurrency  prefetch");
    };
    both_say(&mut command, "first");
    place.write("src/lib.rs", &marked("second"));
    both_say(&mut command, "second");
    command.terminate();
    let (status, said) = command.ended();
    assert_eq!(status.code(), Some(0), "{said:#?}");
}
