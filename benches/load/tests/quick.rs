//! The load program measures every kind of work, and what it measured is there to be read.

#![allow(missing_docs, clippy::unwrap_used)]

use serde_json::Value;
use std::{path::Path, process::Command};

fn load(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_taskq-load")).args(arguments).output().unwrap();
    let (told, shown) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{told}\n{shown}");
    shown.into_owned()
}

#[test]
fn a_quick_run_measures_every_kind_of_work() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quick");
    let (json, pictures) = (directory.join("report.json"), directory.join("pictures"));
    std::fs::create_dir_all(&directory).unwrap();
    let (json_text, pictures_text) = (json.to_str().unwrap(), pictures.to_str().unwrap());
    // On one kind of queue: this is one test among others, and has to wait for servers and processes.
    let shown = load(&["--quick", "--kinds", "quorum", "--json", json_text]);
    assert!(shown.contains("| work | floor | target |"), "{shown}");

    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["failures"], Value::Array(Vec::new()));
    let measured = |list: &str| report[list].as_array().unwrap().len();
    assert!(measured("contests") >= 12 && measured("rows") >= 30 && measured("curves") == 5, "{report}");

    // The same tables, and pictures, from what was written down.
    assert_eq!(load(&["--from", json_text, "--out", pictures_text]), shown);
    assert_eq!(std::fs::read_dir(&pictures).unwrap().count(), 5);
}
