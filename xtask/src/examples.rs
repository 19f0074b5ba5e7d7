//! Examples that say in their header what they print are run, and must print it.
//!
//! The header is the `//!` text at the top of the file; what is printed stands in its ` ```text ` block. `[..]` in a line
//! stands for anything.

use crate::{Result, cargo};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Runs every example of the workspace that says what it prints.
pub(crate) fn check_all(environment: &[(&str, String)]) -> Result<()> {
    let directory = cargo::workspace().join("examples");
    for file in files(&directory)? {
        let source = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        if let (Some(wanted), Some(name)) = (printed(&source), file.file_stem()) {
            check(&name.to_string_lossy(), &wanted, environment)?;
        }
    }
    Ok(())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    Ok(files)
}

fn check(name: &str, wanted: &[String], environment: &[(&str, String)]) -> Result<()> {
    println!("\n==> cargo run --example {name}");
    let arguments = ["run", "--quiet", "--all-features", "--example", name];
    let output = cargo::command(&arguments, environment)
        .output()
        .map_err(|error| format!("cannot run example {name}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found: Vec<&str> = text.lines().map(str::trim_end).collect();
    print!("{text}");
    if !output.status.success() {
        return Err(format!("example {name} failed:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    match found.len() == wanted.len() && wanted.iter().zip(&found).all(|(wanted, found)| fits(wanted, found)) {
        true => Ok(()),
        false => Err(format!("example {name} prints something else; its header says:\n{}", wanted.join("\n"))),
    }
}

/// The lines of the header's ` ```text ` block.
fn printed(source: &str) -> Option<Vec<String>> {
    let header = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut block = header.map(|line| line.strip_prefix(' ').unwrap_or(line)).skip_while(|line| *line != "```text");
    block.next()?;
    Some(block.take_while(|line| *line != "```").map(|line| line.trim_end().to_owned()).collect())
}

/// Whether a line is the wanted one, where `[..]` stands for anything.
fn fits(wanted: &str, found: &str) -> bool {
    let Some((start, rest)) = wanted.split_once("[..]") else { return wanted == found };
    let Some(tail) = found.strip_prefix(start) else { return false };
    let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
    ends.into_iter().any(|at| fits(rest, &tail[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_is_printed() {
        let source = "//! Run with x.\n//!\n//! ```text\n//! one\n//!   two\n//! ```\nfn main() {}\n//! ```text\n";
        assert_eq!(printed(source).unwrap(), ["one", "  two"]);
        assert_eq!(printed("//! nothing\nfn main() {}"), None);
    }

    #[test]
    fn a_gap_stands_for_anything() {
        assert!(fits("took [..] ms, [..]", "took 12 ms, fine"));
        assert!(fits("a [..]", "a "));
        assert!(!fits("took [..] s", "took 12 ms"));
        assert!(!fits("a", "a b"));
    }
}
