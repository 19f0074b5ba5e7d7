//! The crate of three lines that becomes the worker program.

use crate::{
    args::{AppPath, BuildFlags},
    compile::{self, Built, Unit},
    manifest::RootManifest,
    project::Project,
};
use anyhow::{Context, Result, bail};
use cargo_metadata::Package;
use std::{
    fs::{self, File, TryLockError},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};
use taskq_core::worker::main::CLI_PROTOCOL;
use toml::{Table, Value, toml};

/// Writes the crate and builds it.
pub(crate) fn build(project: &Project, app: &AppPath, flags: &BuildFlags) -> Result<Built> {
    let shim = Shim::new(project, app, flags)?;
    fs::create_dir_all(shim.directory.join("src"))
        .with_context(|| format!("cannot make {}", shim.directory.display()))?;
    let _lock = lock(&shim.directory)?;
    shim.write(project)?;
    let manifest = shim.directory.join("Cargo.toml");
    compile::run(project, &Unit::Shim { manifest: &manifest, name: &shim.name, app }, flags)
}

/// What is written.
struct Shim {
    directory: PathBuf,
    /// Of the package and its program.
    name: String,
    manifest: String,
    main: String,
}

impl Shim {
    fn new(project: &Project, app: &AppPath, flags: &BuildFlags) -> Result<Self> {
        let root = RootManifest::read(project.workspace())?;
        let mut dependencies = Table::new();
        dependencies.insert(project.library().to_owned(), user_crate(project.package(), &project.directory(), flags));
        dependencies.insert("taskq".to_owned(), same_taskq(project.taskq()?)?);
        let mut body = root.tables;
        body.insert("dependencies".to_owned(), Value::Table(dependencies));
        // Without it cargo takes the crate for a member of the workspace around it, that does not list it.
        body.insert(
            "workspace".to_owned(),
            Value::Table(Table::from_iter([("resolver".to_owned(), root.resolver.into())])),
        );
        let main = main_source(app);
        // Shims that differ do not share a directory or a program, so that they do not undo each other's builds.
        let mut hash = DefaultHasher::new();
        (body.to_string(), &main).hash(&mut hash);
        let name = format!("{}-worker-{:08x}", project.package().name, hash.finish() as u32);
        let mut manifest = toml! {
            [package]
            edition = "2021"
            publish = false
        };
        if let Some(Value::Table(package)) = manifest.get_mut("package") {
            package.insert("name".to_owned(), name.clone().into());
            package.insert("version".to_owned(), project.package().version.to_string().into());
        }
        manifest.extend(body);
        let directory = project.target().join("taskq").join(&name);
        Ok(Shim { directory, name, manifest: manifest.to_string(), main })
    }

    fn write(&self, project: &Project) -> Result<()> {
        write_if_other(&self.directory.join("Cargo.toml"), &self.manifest)?;
        write_if_other(&self.directory.join("src/main.rs"), &self.main)?;
        // Without it cargo would choose versions afresh, and the worker would not be what production runs.
        let lock = project.workspace().join("Cargo.lock");
        if lock.is_file() {
            fs::copy(&lock, self.directory.join("Cargo.lock"))
                .with_context(|| format!("cannot copy {}", lock.display()))?;
        }
        Ok(())
    }
}

fn main_source(app: &AppPath) -> String {
    format!(
        "//! Written by `taskq`: the worker program of `{app}`.\n\
         const _: () = assert!(\n    \
             taskq::worker::main::CLI_PROTOCOL == {CLI_PROTOCOL},\n    \
             \"this `taskq` command and the `taskq` of your crate are of different versions; install the same\",\n\
         );\n\
         fn main() -> std::process::ExitCode {{\n    \
             taskq::worker::main!({app})\n\
         }}\n"
    )
}

/// The user's crate, under the name of its library.
fn user_crate(package: &Package, directory: &Path, flags: &BuildFlags) -> Value {
    let mut features = flags.features.clone();
    if flags.all_features {
        features = package.features.keys().cloned().collect();
        features.sort();
    }
    Value::Table(Table::from_iter([
        ("package".to_owned(), package.name.to_string().into()),
        ("path".to_owned(), directory.to_string_lossy().into_owned().into()),
        ("features".to_owned(), features.into()),
        ("default-features".to_owned(), (!flags.no_default_features).into()),
    ]))
}

/// Exactly the `taskq` that the user's crate was resolved to, whatever they call it there.
fn same_taskq(package: &Package) -> Result<Value> {
    let mut table = Table::from_iter([
        ("package".to_owned(), package.name.to_string().into()),
        ("default-features".to_owned(), false.into()),
        ("features".to_owned(), vec!["worker-main"].into()),
    ]);
    let Some(source) = &package.source else {
        let manifest = package.manifest_path.as_std_path();
        let directory = manifest.parent().unwrap_or(manifest);
        table.insert("path".to_owned(), directory.to_string_lossy().into_owned().into());
        return Ok(Value::Table(table));
    };
    table.extend(remote(&source.repr, &package.version.to_string())?);
    Ok(Value::Table(table))
}

/// The keys that name a package of a registry or of a git repository.
fn remote(source: &str, version: &str) -> Result<Table> {
    let pair = |key: &str, value: &str| (key.to_owned(), Value::from(value));
    if let Some(rest) = source.strip_prefix("git+") {
        // `URL?branch=NAME#COMMIT`; the lock file holds the commit.
        let place = rest.split('#').next().unwrap_or(rest);
        let (url, query) = place.split_once('?').unwrap_or((place, ""));
        let reference = query.split('&').filter_map(|pair| pair.split_once('='));
        let reference = reference.filter(|(key, _)| matches!(*key, "branch" | "tag" | "rev"));
        return Ok([pair("git", url)].into_iter().chain(reference.map(|(key, value)| pair(key, value))).collect());
    }
    let exactly = pair("version", &format!("={version}"));
    match source {
        "registry+https://github.com/rust-lang/crates.io-index" | "sparse+https://index.crates.io/" => {
            Ok(Table::from_iter([exactly]))
        }
        _ => match source.strip_prefix("registry+") {
            Some(index) => Ok(Table::from_iter([exactly, pair("registry-index", index)])),
            None if source.starts_with("sparse+") => Ok(Table::from_iter([exactly, pair("registry-index", source)])),
            None => bail!("`taskq` comes from `{source}`, which this command does not know how to name"),
        },
    }
}

/// Leaves a file alone that is as it should be: a newer one would be built again.
fn write_if_other(file: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Two `taskq` commands may work on the same crate.
fn lock(directory: &Path) -> Result<File> {
    let file = directory.join(".lock");
    let lock = File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        eprintln!("waiting for another `taskq` that builds the same worker");
        lock.lock().with_context(|| format!("cannot lock {}", file.display()))?;
    }
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(source: &str) -> Table {
        remote(source, "0.1.0").unwrap()
    }

    #[test]
    fn a_package_is_named_as_cargo_found_it() {
        let crates_io = "registry+https://github.com/rust-lang/crates.io-index";
        assert_eq!(named(crates_io), toml! { version = "=0.1.0" });
        assert_eq!(
            named("registry+https://example.org/index"),
            toml! { version = "=0.1.0"
            registry-index = "https://example.org/index" }
        );
        assert_eq!(
            named("sparse+https://example.org/"),
            toml! { version = "=0.1.0"
            registry-index = "sparse+https://example.org/" }
        );
        assert_eq!(
            named("git+https://example.org/taskq?branch=main#0a1b"),
            toml! { git = "https://example.org/taskq"
            branch = "main" }
        );
        assert_eq!(named("git+ssh://git@example.org/taskq#0a1b"), toml! { git = "ssh://git@example.org/taskq" });
        assert!(remote("elsewhere", "1").is_err());
    }
}
