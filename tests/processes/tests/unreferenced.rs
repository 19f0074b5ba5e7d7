//! Tasks of a crate that a program depends on and does not name are not in the program; one line brings them in.
#![allow(clippy::unwrap_used)]

use std::process::Command;

fn tasks_of(program: &str) -> Vec<String> {
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_crate_of_tasks_has_to_be_named_once_for_its_tasks_to_be_there() {
    let nap = "taskq_process_tests::nap".to_owned();
    assert!(!tasks_of(env!("CARGO_BIN_EXE_process-test-unreferenced")).contains(&nap));
    let tasks = tasks_of(env!("CARGO_BIN_EXE_process-test-referenced"));
    assert!(tasks.contains(&nap), "{tasks:?}");
}
