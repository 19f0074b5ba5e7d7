//! The user's workspace, as cargo sees it.

use crate::args::AppPath;
use anyhow::{Context, Result, anyhow, bail, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package, PackageId, TargetKind};
use std::{
    collections::HashSet,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace, and the crate in it that has the app.
#[derive(Debug)]
pub(crate) struct Project {
    metadata: Metadata,
    package: Package,
    /// The library's name as Rust code writes it.
    library: String,
}

impl Project {
    /// Finds the crate of `app` in the workspace of this directory, or of that manifest.
    pub(crate) fn find(app: &AppPath, manifest: Option<&Path>) -> Result<Self> {
        let metadata = metadata(manifest)?;
        let krate = app.krate();
        let members = || metadata.workspace_packages().into_iter();
        let Some(package) = members().find(|package| library(package).as_deref() == Some(krate)) else {
            return Err(match members().find(|package| package.name.replace('-', "_") == krate) {
                Some(package) => no_library(package, app),
                None => no_crate(&metadata, krate),
            });
        };
        Ok(Project { package: package.clone(), library: krate.to_owned(), metadata })
    }

    /// The crate.
    pub(crate) fn package(&self) -> &Package {
        &self.package
    }

    /// The name of the crate's library, as Rust code writes it.
    pub(crate) fn library(&self) -> &str {
        &self.library
    }

    /// The directory of the crate: where its worker runs.
    pub(crate) fn directory(&self) -> PathBuf {
        directory(&self.package)
    }

    /// The directory of the workspace: where cargo runs, and finds its configuration.
    pub(crate) fn workspace(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// The directory of the build output.
    pub(crate) fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// The program that the crate itself names as its worker.
    pub(crate) fn worker_bin(&self) -> Option<&str> {
        self.package.metadata.get("taskq")?.get("worker-bin")?.as_str()
    }

    /// The `taskq` package that the crate uses, itself or through others.
    pub(crate) fn taskq(&self) -> Result<&Package> {
        let found = self.dependencies()?.into_iter().find(|package| package.name == "taskq");
        found.with_context(|| {
            format!("crate `{}` does not depend on `taskq`; add it to {}", self.library, self.package.manifest_path)
        })
    }

    /// The directories of the crate and of what it uses from this machine's disk.
    pub(crate) fn source_directories(&self) -> Result<Vec<PathBuf>> {
        let local = self.dependencies()?.into_iter().filter(|package| package.source.is_none());
        Ok(local.map(directory).collect())
    }

    /// The crate and all that it is built from, nearest first.
    fn dependencies(&self) -> Result<Vec<&Package>> {
        let resolve = self.metadata.resolve.as_ref().context("cargo did not resolve the dependencies")?;
        let mut seen: HashSet<&PackageId> = HashSet::from([&self.package.id]);
        let mut found: Vec<&PackageId> = vec![&self.package.id];
        let mut next = 0;
        while let Some(id) = found.get(next).copied() {
            let node = resolve.nodes.iter().find(|node| node.id == *id);
            found.extend(node.into_iter().flat_map(|node| &node.dependencies).filter(|id| seen.insert(id)));
            next += 1;
        }
        Ok(found.into_iter().filter_map(|id| self.metadata.packages.iter().find(|package| package.id == *id)).collect())
    }
}

/// The cargo that runs this command, or the one on the path.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

fn metadata(manifest: Option<&Path>) -> Result<Metadata> {
    let here = env::current_dir().context("cannot tell the current directory")?;
    if let Some(manifest) = manifest {
        ensure!(manifest.is_file(), "there is no file {}", manifest.display());
    } else if !here.ancestors().any(|directory| directory.join("Cargo.toml").is_file()) {
        bail!(
            "there is no Cargo.toml in {} or above it; run `taskq` inside your crate, or give `--manifest-path`",
            here.display()
        );
    }
    let mut command = MetadataCommand::new();
    if let Some(manifest) = manifest {
        command.manifest_path(manifest);
    }
    // What other platforms need is not downloaded.
    command.other_options(["--filter-platform".to_owned(), host()?]);
    command.exec().map_err(|error| match error {
        cargo_metadata::Error::CargoMetadata { stderr } => anyhow!("{}", stderr.trim().trim_start_matches("error: ")),
        error => anyhow!(error).context("cannot run cargo; is it installed?"),
    })
}

/// The platform that cargo builds for when it is not told.
fn host() -> Result<String> {
    let output = cargo().arg("-vV").output().context("cannot run cargo; is it installed?")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`cargo -vV` does not tell its host")?.to_owned())
}

fn directory(package: &Package) -> PathBuf {
    let manifest = package.manifest_path.as_std_path();
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The name of the package's library, as Rust code writes it, if a program can be linked with it.
fn library(package: &Package) -> Option<String> {
    let linkable = |kind: &TargetKind| matches!(kind, TargetKind::Lib | TargetKind::RLib);
    let target = package.targets.iter().find(|target| target.kind.iter().any(linkable))?;
    Some(target.name.replace('-', "_"))
}

fn no_library(package: &Package, app: &AppPath) -> anyhow::Error {
    let krate = app.krate();
    anyhow!(
        "crate `{krate}` has no library, and nothing can be linked with a program\n\
         move the tasks and what `{app}` names from src/main.rs to src/lib.rs, and use them in main.rs as `{krate}::..`\n\
         or write a program for the worker, `fn main() -> ExitCode {{ taskq::worker::main!(..) }}`, and run that one\n\
         ({})",
        package.manifest_path
    )
}

fn no_crate(metadata: &Metadata, krate: &str) -> anyhow::Error {
    let mut libraries: Vec<String> = metadata.workspace_packages().into_iter().filter_map(library).collect();
    libraries.sort();
    let there = match libraries.as_slice() {
        [] => "has no library crate".to_owned(),
        names => format!("has: {}", names.join(", ")),
    };
    anyhow!("there is no crate `{krate}`; the workspace {} {there}", metadata.workspace_root)
}
