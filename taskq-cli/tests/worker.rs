//! `taskq` builds and runs the worker of a user's crate.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{collections::HashSet, fs, process::Command, sync::LazyLock};
use support::{Place, manifest, process_in, signal};

/// One crate for all tests that do not change it: it is built once.
static MY_APP: LazyLock<Place> = LazyLock::new(|| Place::with_my_app("shared"));

#[test]
fn tasks_are_listed_as_a_table_and_as_json() {
    let ended = MY_APP.run(&["tasks", "my_app::broker"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["TASK", "QUEUE", "RETRY", "TIMEOUT", "DEFINED", "AT"]);
    assert!(lines[1].starts_with("my_app::endless  long   2      25m"), "{}", lines[1]);

    // A static serves as well as a function.
    let ended = MY_APP.run(&["tasks", "my_app::SHARED", "--json"]);
    assert!(ended.stdout.contains("\"name\": \"my_app::endless\"") && ended.stdout.contains("\"queue\": \"long\""));
    assert!(ended.stdout.contains("\"timeout_seconds\": 1500.0"), "{}", ended.stdout);
}

#[test]
fn a_worker_starts_with_one_table_in_its_crate_and_stops_when_asked() {
    let place = Place::with_my_app("dot-env");
    place.write(".env", "GREETING=hello\n");
    let mut worker = place.start(&["worker", "my_app::broker", "--concurrency", "7", "--queues", "long:3,short"]);
    let line = worker.line_with("greeting=");
    assert_eq!(line, format!("greeting=Some(\"hello\") place={}", place.path().display()));
    worker.line_with("my_app::broker 1.2.3");
    worker.line_with("my_app::endless");
    let queues = [worker.line_with("  long  "), worker.line_with("  short  ")];
    let concurrency = queues.map(|line| line.split_whitespace().nth(1).unwrap().to_owned());
    assert_eq!(concurrency, ["3", "7"]);
    worker.terminate();
    let (status, said) = worker.ended();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert_eq!(said.iter().filter(|line| line.contains("concurrency  prefetch")).count(), 1);
}

#[test]
fn tasks_that_outlast_the_shutdown_timeout_are_given_back() {
    let mut worker = MY_APP.start(&["worker", "my_app::busy", "--shutdown-timeout", "100ms"]);
    worker.line_with("endless runs");
    worker.terminate();
    let (status, said) = worker.ended();
    assert_eq!(status.code(), Some(3), "{said:#?}");
    assert!(said.iter().any(|line| line.starts_with("error: 1 tasks were still running")), "{said:#?}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut worker = MY_APP.start(&["worker", "my_app::busy", "--shutdown-timeout", "1h"]);
    worker.line_with("endless runs");
    worker.terminate();
    worker.line_with("a second signal stops at once");
    worker.terminate();
    assert_eq!(worker.ended().0.code(), Some(3));
}

#[test]
fn log_lines_are_json_when_asked_for() {
    let mut worker = MY_APP.start(&["worker", "my_app::broker", "--log-format", "json"]);
    let line = worker.line_with("worker starts");
    assert!(line.starts_with('{') && line.contains("\"tasks\":\"my_app::endless\""), "{line}");
    worker.terminate();
    assert_eq!(worker.ended().0.code(), Some(0));
}

#[test]
fn an_unreachable_broker_is_named_and_tried_again_until_the_worker_is_stopped() {
    let mut worker = MY_APP.start(&["worker", "my_app::away"]);
    for attempt in 1..=2 {
        let line = worker.line_with("cannot reach the broker at rabbit.example:5672");
        assert!(line.contains("refused; trying again in") && line.contains(&format!("attempt={attempt}")), "{line}");
    }
    worker.terminate();
    assert_eq!(worker.ended().0.code(), Some(0));
}

#[test]
fn a_broker_that_refuses_the_user_is_not_tried_again() {
    let ended = MY_APP.run(&["worker", "my_app::denied"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.error(),
        "error: the broker at rabbit.example:5672 refuses this user: bad login; check user, password, virtual host and \
         permissions\n"
    );
}

#[test]
fn several_processes_end_at_once_when_the_set_up_is_wrong() {
    let ended = MY_APP.run(&["worker", "my_app::denied", "--workers", "2"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the process cannot run"), "{}", ended.stderr);
}

#[test]
fn a_process_that_is_killed_is_replaced_and_all_stop_together() {
    let mut worker = MY_APP.start(&["worker", "my_app::broker", "--workers", "3"]);
    let mut processes: Vec<u32> = (0..3).map(|_| process_in(&worker.line_with("a worker process starts"))).collect();
    worker.line_with("my_app::endless");
    signal("KILL", processes[2]);
    worker.line_with("SIGKILL");
    processes.push(process_in(&worker.line_with("a worker process starts")));
    assert_eq!(processes.iter().collect::<HashSet<_>>().len(), 4);
    worker.terminate();
    let (status, said) = worker.ended();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(processes.into_iter().all(|process| !is_running(process)));
}

#[test]
fn each_of_several_processes_says_which_one_it_is_and_when_it_is_ready() {
    let mut worker = MY_APP.start(&["worker", "my_app::broker", "--workers", "2", "--queues", "long:3"]);
    let lines: Vec<_> = (0..2).map(|_| worker.line_with("ready: consuming")).collect();
    for index in 0..2 {
        assert!(lines.iter().any(|line| line.starts_with(&format!("worker={index} "))), "{lines:?}");
    }
    assert!(lines.iter().all(|line| line.contains("long:3")), "{lines:?}");
    worker.terminate();
    assert_eq!(worker.ended().0.code(), Some(0));

    let mut worker = MY_APP.start(&["worker", "my_app::broker", "--workers", "2", "--log-format", "json"]);
    let lines: Vec<_> = (0..2).map(|_| worker.line_with("ready: consuming")).collect();
    for index in 0..2 {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{{\"worker\":{index},\""))), "{lines:?}");
    }
    worker.terminate();
    assert_eq!(worker.ended().0.code(), Some(0));
}

#[test]
fn one_process_says_when_it_is_ready_and_no_number() {
    let mut worker = MY_APP.start(&["worker", "my_app::broker"]);
    let line = worker.line_with("ready: consuming");
    assert!(line.contains("long:100") && !line.contains("worker="), "{line}");
    worker.terminate();
    assert_eq!(worker.ended().0.code(), Some(0));
}

#[test]
fn worker_processes_stop_when_the_one_that_started_them_is_killed() {
    let mut worker = MY_APP.start(&["worker", "my_app::broker", "--workers", "2"]);
    worker.line_with("my_app::endless");
    signal("KILL", worker.id());
    // The output ends when the last process that holds it is gone.
    let (_, said) = worker.ended();
    let stopping = said.iter().filter(|line| line.contains("the process that started this one is gone"));
    assert_eq!(stopping.count(), 2, "{said:#?}");
}

#[test]
fn dead_letters_that_are_not_there_are_an_error_that_names_them() {
    let ended = MY_APP.run(&["dead", "list", "my_app::broker"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "no dead letters\n"), "{}", ended.stderr);
    for verb in ["show", "replay"] {
        let ended = MY_APP.run(&["dead", verb, "--queue", "long", "--", "-x::1", "my_app::broker"]);
        let wanted = "error: task -x::1 is not among the dead letters of queue `long`; `dead list` shows them\n";
        assert_eq!((ended.code, ended.error()), (Some(1), wanted), "{}", ended.stderr);
    }
}

#[test]
fn a_worker_is_built_as_one_file() {
    let file = MY_APP.path().join("my-worker");
    let name = file.to_str().unwrap();
    let ended = MY_APP.run(&["build", "my_app::broker", "--output", name, "--profile", "dev"]);
    assert_eq!((ended.code, ended.stdout.trim()), (Some(0), name), "{}", ended.stderr);
    let output = Command::new(&file).arg("tasks").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("my_app::endless"));
    fs::remove_file(file).unwrap();
}

#[test]
fn a_program_of_the_crates_own_is_used_where_it_is_named() {
    let manifest = manifest("[features]\nextra = []\n[package.metadata.taskq]\nworker-bin = \"serve\"\n");
    let main = "fn main() -> std::process::ExitCode {\n\
                #[cfg(feature = \"extra\")] eprintln!(\"my own program\");\n\
                taskq::worker::main!(my_app::broker) }";
    let sources = [("src/lib.rs", include_str!("support/my_app.rs")), ("src/bin/serve.rs", main)];
    let place = Place::with_manifest("own-program", &manifest, &sources);
    let ended = place.run(&["tasks", "my_app::broker", "--features", "extra"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("my own program") && ended.stdout.contains("my_app::endless"));
}

#[test]
fn taskq_under_another_name_and_a_crate_with_profiles_and_patches_work_too() {
    let more = "own-log = \"1\"\n[profile.dev.package.own-log]\nopt-level = 1\n\
                [patch.crates-io]\nown-log = { path = \"own-log\" }\n";
    let text = manifest(more).replace("taskq = {", "queue = {");
    let own_log = "[package]\nname = \"own-log\"\nversion = \"1.0.0\"\nedition = \"2024\"\n";
    let lib = include_str!("support/my_app.rs").replace("use taskq::", "use queue::");
    let lib =
        lib.replace("pub fn broker() -> App {", "pub fn broker() -> App {\n    eprintln!(\"{}\", own_log::WHOSE);");
    let sources = [
        ("src/lib.rs", &*lib),
        ("own-log/Cargo.toml", own_log),
        ("own-log/src/lib.rs", "pub const WHOSE: &str = \"own log\";"),
    ];
    let place = Place::with_manifest("renamed", &text, &sources);
    let ended = place.run(&["tasks", "my_app::broker"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("own log") && ended.stdout.contains("my_app::endless"));
}

fn is_running(process: u32) -> bool {
    Command::new("kill").args(["-0", &process.to_string()]).output().unwrap().status.success()
}
