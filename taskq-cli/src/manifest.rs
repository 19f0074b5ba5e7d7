//! What a build of the user's workspace takes from its root manifest, and a crate outside it would not see.

use anyhow::{Context, Result};
use std::{fs, path::Path};
use toml::{Table, Value};

/// The tables that a copy needs.
#[derive(Debug, Default)]
pub(crate) struct RootManifest {
    /// `[profile.*]`, `[patch.*]` and `[replace]`, with paths that hold anywhere.
    pub(crate) tables: Table,
    /// How features are resolved.
    pub(crate) resolver: String,
}

impl RootManifest {
    /// Reads the manifest of the workspace in `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let file = root.join("Cargo.toml");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let manifest: Table = text.parse().with_context(|| format!("cannot read {}", file.display()))?;
        Ok(RootManifest::new(&manifest, root))
    }

    fn new(manifest: &Table, root: &Path) -> Self {
        let mut tables = Table::new();
        for name in ["profile", "patch", "replace"] {
            if let Some(value) = manifest.get(name) {
                let mut value = value.clone();
                make_absolute(&mut value, root);
                tables.insert(name.to_owned(), value);
            }
        }
        RootManifest { tables, resolver: resolver(manifest) }
    }
}

/// The resolver that is named, or that of the edition; a workspace without a package has the first one.
fn resolver(manifest: &Table) -> String {
    let text = |table: &str, key: &str| manifest.get(table)?.get(key)?.as_str();
    let by_edition = match text("package", "edition") {
        Some("2015" | "2018") | None => "1",
        Some("2021") => "2",
        Some(_) => "3",
    };
    text("workspace", "resolver").or(text("package", "resolver")).unwrap_or(by_edition).to_owned()
}

/// Makes every `path = ".."` below `value` absolute.
fn make_absolute(value: &mut Value, root: &Path) {
    let Value::Table(table) = value else { return };
    for (key, value) in table.iter_mut() {
        match value {
            Value::String(path) if key == "path" => *path = root.join(&*path).to_string_lossy().into_owned(),
            value => make_absolute(value, root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RootManifest {
        RootManifest::new(&text.parse().unwrap(), Path::new("/projects"))
    }

    #[test]
    fn profiles_and_patches_are_taken_over_with_paths_that_hold_anywhere() {
        let manifest = read(
            "[dependencies]\nx = '1'\n[profile.dev.package.x]\nopt-level = 3\n\
             [patch.crates-io]\nx = { path = '../x' }\ny = { git = 'https://y', branch = 'main' }",
        );
        let wanted = "[profile.dev.package.x]\nopt-level = 3\n\
                      [patch.crates-io]\nx = { path = '/projects/../x' }\ny = { git = 'https://y', branch = 'main' }";
        assert_eq!(manifest.tables, wanted.parse().unwrap());
    }

    #[test]
    fn the_resolver_is_the_one_that_the_workspace_has() {
        assert_eq!(read("[workspace]\nresolver = '2'").resolver, "2");
        assert_eq!(read("[workspace]").resolver, "1");
        assert_eq!(read("[package]\nedition = '2018'").resolver, "1");
        assert_eq!(read("[package]\nedition = '2021'").resolver, "2");
        assert_eq!(read("[package]\nedition = '2024'").resolver, "3");
    }
}
