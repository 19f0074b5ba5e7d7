//! What is told of a run: tables on stdout, JSON, and pictures of the curves.

mod picture;
mod table;

use crate::{args::Args, findings::Findings, procfs, setting::Setting};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{Write, stdout},
    path::PathBuf,
};

/// Everything about one run, or several put together.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    taskq: String,
    machine: String,
    rabbitmq: String,
    redis: String,
    rounds: usize,
    /// Made with too little work for figures that mean something.
    quick: bool,
    #[serde(flatten)]
    findings: Findings,
    /// What could not be measured, and why.
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(setting: &Setting, args: &Args, findings: Findings, failures: Vec<String>) -> Self {
        Report {
            taskq: env!("CARGO_PKG_VERSION").into(),
            machine: procfs::machine(),
            rabbitmq: setting.servers.rabbitmq_version.clone(),
            redis: setting.servers.redis_version.clone(),
            rounds: setting.rounds,
            quick: args.quick,
            findings,
            failures,
        }
    }

    /// What these files hold, together.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self> {
        let mut all: Option<Report> = None;
        for file in files {
            let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let report: Report =
                serde_json::from_slice(&text).with_context(|| format!("{} is not a report", file.display()))?;
            match &mut all {
                None => all = Some(report),
                Some(all) => {
                    all.findings.add(report.findings);
                    all.failures.extend(report.failures);
                    all.quick |= report.quick;
                }
            }
        }
        all.context("no file is named")
    }

    /// Shows it, and writes and draws what the command line asks for.
    ///
    /// # Errors
    /// Something could not be written, or had not been measured.
    pub(crate) fn publish(&self, args: &Args) -> Result<()> {
        stdout().lock().write_all(table::of(self).as_bytes())?;
        if let Some(file) = &args.json {
            fs::write(file, serde_json::to_vec_pretty(self)?)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        if let Some(directory) = &args.out {
            fs::create_dir_all(directory)?;
            for curve in &self.findings.curves {
                let name = curve.name.replace(", ", "-").replace(' ', "-");
                fs::write(directory.join(format!("{name}.svg")), picture::of(curve))?;
            }
        }
        match self.failures.len() {
            0 => Ok(()),
            failures => bail!("{failures} measurements failed"),
        }
    }
}
