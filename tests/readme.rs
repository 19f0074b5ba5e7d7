//! Code in README.md that needs a crate of its own to compile stands, word for word, in an example that does compile.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{fs, path::Path};

#[test]
fn what_the_readme_shows_is_compiled_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let compiled = ["tour.rs", "worker.rs"]
        .map(|file| fs::read_to_string(root.join("examples/my_app/src/bin").join(file)).unwrap());
    let blocks: Vec<&str> =
        readme.split("```rust,ignore\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let block = block.trim_start_matches("// a producer\n").trim();
        assert!(compiled.iter().any(|source| source.contains(block)), "not compiled anywhere:\n{block}");
    }
}
