//! What goes wrong before there is a worker says what to do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use support::{Place, manifest};

#[test]
fn outside_of_a_crate_it_says_so() {
    let place = Place::outside();
    let ended = place.run(&["worker", "my_app::broker"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stderr,
        format!(
            "error: there is no Cargo.toml in {} or above it; run `taskq` inside your crate, or give `--manifest-path`\n",
            place.path().display()
        )
    );
}

#[test]
fn a_manifest_that_is_not_there_is_named() {
    let ended = Place::outside().run(&["tasks", "my_app::broker", "--manifest-path", "nowhere/Cargo.toml"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(1), "error: there is no file nowhere/Cargo.toml\n"));
}

#[test]
fn an_app_needs_a_path_of_a_crate_and_a_function() {
    for (path, says) in
        [("my_app", "add the function that gives the app: `my_app::broker`"), ("a-b::c", "`a-b` is not a name")]
    {
        let ended = Place::outside().run(&["worker", path]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
}

#[test]
fn a_wrong_flag_of_the_worker_is_found_before_anything_is_built() {
    let ended = Place::outside().run(&["worker", "my_app::broker", "--queues", "mail:many"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("`many` is not a number of tasks"), "{}", ended.stderr);
}

#[test]
fn a_crate_that_is_not_there_gets_a_list_of_those_that_are() {
    let place = Place::with_crate("no-such-crate", &[("src/lib.rs", "")]);
    let ended = place.run(&["worker", "other::broker"]);
    assert_eq!(ended.code, Some(1));
    let wanted = format!("error: there is no crate `other`; the workspace {} has: my_app\n", place.path().display());
    assert_eq!(ended.error(), wanted);
}

#[test]
fn a_crate_without_a_library_is_told_to_move_its_tasks() {
    let place = Place::with_crate("no-library", &[("src/main.rs", "fn main() {}")]);
    let ended = place.run(&["worker", "my_app::broker"]);
    assert_eq!(ended.code, Some(1));
    let wanted = format!(
        "error: crate `my_app` has no library, and nothing can be linked with a program\n\
         move the tasks and what `my_app::broker` names from src/main.rs to src/lib.rs, and use them in main.rs as `my_app::..`\n\
         or write a program for the worker, `fn main() -> ExitCode {{ taskq::worker::main!(..) }}`, and run that one\n\
         ({}/Cargo.toml)\n",
        place.path().display()
    );
    assert_eq!(ended.error(), wanted);
}

#[test]
fn a_crate_that_does_not_use_taskq_is_told_to() {
    let text = "[package]\nname = \"my-app\"\nversion = \"1.2.3\"\nedition = \"2024\"\n[workspace]\n";
    let place = Place::with_manifest("no-taskq", text, &[("src/lib.rs", "")]);
    let ended = place.run(&["worker", "my_app::broker"]);
    let wanted =
        format!("error: crate `my_app` does not depend on `taskq`; add it to {}/Cargo.toml\n", place.path().display());
    assert_eq!((ended.code, ended.error()), (Some(1), &*wanted));
}

#[test]
fn a_broken_manifest_is_reported_as_cargo_reports_it() {
    let place = Place::with_manifest("broken-manifest", "[package]\nname = 7\n", &[]);
    let ended = place.run(&["worker", "my_app::broker"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains("name = 7"), "{}", ended.stderr);
}

#[test]
fn a_worker_bin_that_is_not_there_gets_a_list_of_those_that_are() {
    let text = manifest("[package.metadata.taskq]\nworker-bin = \"wrker\"\n");
    let sources = [("src/lib.rs", ""), ("src/bin/worker.rs", "fn main() {}"), ("src/bin/web.rs", "fn main() {}")];
    let place = Place::with_manifest("no-such-bin", &text, &sources);
    let ended = place.run(&["worker", "my_app::broker"]);
    let wanted = format!(
        "error: `worker-bin = \"wrker\"` in {}/Cargo.toml names no program of the crate; it has: web, worker\n",
        place.path().display()
    );
    assert_eq!((ended.code, ended.error()), (Some(1), &*wanted));
}

#[test]
fn a_path_that_names_nothing_usable_is_explained_and_nothing_else_is_shown() {
    let place = Place::with_my_app("wrong-path");
    let explained = |path: &str| {
        let ended = place.run(&["worker", path]);
        assert_eq!(ended.code, Some(1), "{path}");
        assert!(!ended.stderr.contains("src/main.rs"), "{}", ended.stderr);
        ended.error().to_owned()
    };
    assert_eq!(
        explained("my_app::brokr"),
        "error: `my_app::brokr` cannot be used: cannot find value `brokr` in crate `my_app`\n\
         is it `broker`?\n"
    );
    assert_eq!(
        explained("my_app::nothing_like_it"),
        "error: `my_app::nothing_like_it` cannot be used: cannot find value `nothing_like_it` in crate `my_app`\n\
         name a public function or static of crate `my_app` that gives the app\n"
    );
    assert!(explained("my_app::setup::broker").contains("name a public function or static of crate `my_app`"));
    assert!(explained("my_app::Answers").contains("cannot be used"));
    assert_eq!(
        explained("my_app::not_an_app"),
        "error: `my_app::not_an_app` cannot be used: `fn() -> String {not_an_app}` does not give the app of a worker\n\
         name a `fn()` or `async fn()` without parameters, or a `static` `LazyLock`\n\
         it gives an `App`, a broker such as `AmqpBroker`, an `Arc` of one, or a `Result` of these\n"
    );
}

#[test]
fn code_that_does_not_compile_is_shown_as_cargo_shows_it() {
    let place = Place::with_crate("does-not-compile", &[("src/lib.rs", "pub fn broker() -> taskq::App { 7 }")]);
    let ended = place.run(&["worker", "my_app::broker"]);
    assert_eq!((ended.code, ended.error()), (Some(1), "error: the worker could not be built\n"));
    assert!(ended.stderr.contains("expected `App`, found integer"), "{}", ended.stderr);
}
