//! The import rules of ARCHITECTURE.md, checked.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

/// Files (or folders) of `src`, and the modules that they may not import.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("message.rs", &["broker", "app", "worker", "results", "delivery"]),
    ("codec.rs", &["broker", "app", "worker", "results", "delivery"]),
    ("record.rs", &["broker", "app", "worker", "results", "delivery"]),
    ("failure.rs", &["broker", "app", "worker", "results", "delivery"]),
    ("task.rs", &["broker", "worker", "results", "delivery"]),
    ("retry.rs", &["broker", "app", "worker", "results", "delivery"]),
    ("middleware.rs", &["broker", "worker", "results", "delivery"]),
    ("outcome.rs", &["broker", "app", "worker", "results", "delivery"]),
    ("broker.rs", &["app", "worker", "kiq", "handle"]),
    ("delivery.rs", &["app", "worker", "kiq", "handle", "broker"]),
    ("delivery", &["app", "worker", "kiq", "handle", "broker"]),
    ("results.rs", &["app", "worker", "kiq", "handle", "broker"]),
    ("memory", &["app", "worker", "kiq", "handle"]),
];

#[test]
fn no_module_imports_what_lies_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut offences = Vec::new();
    for (place, forbidden) in FORBIDDEN {
        let sources = sources_of(&src.join(place));
        assert!(!sources.is_empty(), "`{place}` is not there: mend this table");
        for (file, text) in sources {
            let imports = crate_imports(&text);
            let bad = imports.iter().filter(|import| forbidden.contains(&import.as_str()));
            offences.extend(bad.map(|import| format!("{file} imports `crate::{import}`")));
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

fn sources_of(path: &Path) -> Vec<(String, String)> {
    let files: Vec<_> = match fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![path.to_owned()],
    };
    files.iter().filter_map(|file| Some((file.display().to_string(), fs::read_to_string(file).ok()?))).collect()
}

/// The first names behind `crate::`, in paths and in `use crate::{..}` trees, tests left out.
fn crate_imports(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for rest in text.split("crate::").skip(1) {
        let Some(tree) = rest.strip_prefix('{') else {
            found.push(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut at_start = true;
        for (at, c) in tree.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                c if at_start && c.is_alphabetic() => {
                    found.push(name(&tree[at..]));
                    at_start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let text =
        "use crate::{\n    app::App,\n    error::{A, B},\n    task,\n};\nuse crate::kiq::Kiq;\ncrate::panic::catch();";
    assert_eq!(crate_imports(text), ["app", "error", "task", "kiq", "panic"]);
}
