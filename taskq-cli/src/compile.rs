//! Runs cargo and finds the program that it made.

use crate::{
    args::{AppPath, BuildFlags},
    project::{self, Project},
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use cargo_metadata::{Message, TargetKind, diagnostic::Diagnostic};
use std::{
    io::{BufReader, IsTerminal},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A program that was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// Its file, as cargo says.
    pub(crate) executable: PathBuf,
    /// Nothing had to be built: it is the one that was there.
    pub(crate) fresh: bool,
}

/// What is built.
pub(crate) enum Unit<'a> {
    /// A program of the user's own crate.
    Bin(&'a str),
    /// The crate that was written for it.
    Shim { manifest: &'a Path, name: &'a str, app: &'a AppPath },
}

/// Builds the program that the crate names as its worker.
pub(crate) fn worker_bin(project: &Project, bin: &str, flags: &BuildFlags) -> Result<Built> {
    let programs = project.package().targets.iter().filter(|target| target.kind.contains(&TargetKind::Bin));
    let names: Vec<&str> = programs.map(|target| target.name.as_str()).collect();
    ensure!(
        names.contains(&bin),
        "`worker-bin = \"{bin}\"` in {} names no program of the crate; it has: {}",
        project.package().manifest_path,
        names.join(", ")
    );
    run(project, &Unit::Bin(bin), flags)
}

/// Builds, with cargo's own output for all to see.
pub(crate) fn run(project: &Project, unit: &Unit<'_>, flags: &BuildFlags) -> Result<Built> {
    let mut child = command(project, unit, flags).spawn().context("cannot run cargo; is it installed?")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let (mut built, mut trouble) = (None, None);
    for message in Message::parse_stream(BufReader::new(stdout)) {
        match message.context("cannot read what cargo says")? {
            // What follows is about code that the user has not written.
            Message::CompilerMessage(message) if trouble.is_some() && message.target.name == unit.program() => {}
            Message::CompilerMessage(message) => match unit.trouble(&message.target.name, &message.message) {
                Some(text) => trouble = Some(text),
                None => eprint!("{}", message.message.rendered.unwrap_or_default()),
            },
            Message::CompilerArtifact(artifact) if artifact.target.name == unit.program() => {
                let fresh = artifact.fresh;
                built = artifact.executable.map(|executable| Built { executable: executable.into(), fresh }).or(built);
            }
            _ => {}
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    match (trouble, built) {
        (Some(trouble), _) => bail!(trouble),
        (None, Some(built)) if status.success() => Ok(built),
        (None, None) if status.success() => Err(anyhow!("cargo built no program `{}`", unit.program())),
        _ => bail!("the worker could not be built"),
    }
}

fn command(project: &Project, unit: &Unit<'_>, flags: &BuildFlags) -> Command {
    let mut cargo = project::cargo();
    let colours = std::io::stderr().is_terminal();
    let format = if colours { "json-diagnostic-rendered-ansi" } else { "json" };
    // cargo reads its configuration, and rustup its toolchain file, from the current directory upwards.
    cargo.current_dir(project.workspace()).stdin(Stdio::null()).stdout(Stdio::piped());
    cargo
        .args(["build", "--message-format", format, "--profile", flags.profile(), "--target-dir"])
        .arg(project.target());
    match unit {
        // All that is locked was downloaded when cargo resolved the dependencies.
        Unit::Shim { manifest, .. } => cargo.arg("--offline").arg("--manifest-path").arg(manifest),
        Unit::Bin(bin) => {
            cargo.args(["--bin", bin, "--manifest-path"]).arg(&project.package().manifest_path);
            cargo.args(flags.features.iter().flat_map(|feature| ["--features", feature]));
            cargo.args(flags.all_features.then_some("--all-features"));
            cargo.args(flags.no_default_features.then_some("--no-default-features"))
        }
    };
    cargo
}

impl Unit<'_> {
    fn program(&self) -> &str {
        match self {
            Unit::Bin(bin) => bin,
            Unit::Shim { name, .. } => name,
        }
    }

    /// An error in the crate that was written is about the path that the user gave, not about their code.
    fn trouble(&self, target: &str, diagnostic: &Diagnostic) -> Option<String> {
        let Unit::Shim { name, app, .. } = self else { return None };
        let code = diagnostic.code.as_ref().map(|code| code.code.as_str());
        let text = &diagnostic.message;
        let hint = match code {
            _ if target != *name => return None,
            Some("E0425" | "E0433" | "E0432" | "E0423") => match similar(diagnostic) {
                Some(name) => format!("is it `{name}`?"),
                None => format!("name a public function or static of crate `{}` that gives the app", app.krate()),
            },
            Some("E0603") => "make it `pub`, and the modules around it too".to_owned(),
            Some("E0277") => notes(diagnostic),
            Some("E0080") => return Some(text.rsplit(": ").next().unwrap_or(text).to_owned()),
            _ => return None,
        };
        Some(format!("`{app}` cannot be used: {text}\n{hint}"))
    }
}

/// The name that the compiler would have known.
fn similar(diagnostic: &Diagnostic) -> Option<&str> {
    let help = diagnostic.children.iter().find(|child| child.message.contains("similar name"))?;
    help.spans.iter().find_map(|span| span.suggested_replacement.as_deref())
}

fn notes(diagnostic: &Diagnostic) -> String {
    let own = diagnostic.children.iter().filter(|child| child.spans.is_empty() && !child.message.contains("trait `"));
    let lines: Vec<&str> = own.map(|child| child.message.as_str()).collect();
    lines.join("\n")
}
