//! What taskq costs, beside its floor. `cargo xtask bench` builds and runs it.
//!
//! ```text
//!  setting ──> work: contests of floor and taskq ──> measure ──> player: a process with a role ──> floor | ours
//!                        │
//!                    findings ──> report: tables, JSON, pictures
//! ```
//!
//! Publishers and workers are processes of their own (this program again, with a role), so that the CPU of each can be
//! told. Floor and taskq take turns, and only ratios of runs that were made one after the other count: on a shared machine
//! the floor alone moves by half.

mod amounts;
mod args;
mod clock;
mod contest;
mod distribution;
mod findings;
mod floor;
mod measure;
mod meter;
mod ours;
mod pace;
mod player;
mod procfs;
mod protocol;
mod report;
mod role;
mod servers;
mod setting;
mod stage;
mod stats;
mod targets;
mod work;

use anyhow::{Result, anyhow};
use args::Args;
use clap::Parser;
use findings::Findings;
use futures_util::FutureExt;
use report::Report;
use setting::Setting;
use std::{env, panic::AssertUnwindSafe, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let ended = match (arguments.next().as_deref(), arguments.next()) {
        (Some(protocol::ROLE), Some(orders)) => role::main(&orders),
        _ => conduct(&Args::parse()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for, and reports it.
fn conduct(args: &Args) -> Result<()> {
    let report = match args.from.as_slice() {
        [] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(measure(args))?
        }
        files => Report::read(files)?,
    };
    report.publish(args)
}

/// What cannot be measured does not keep anything else from being reported.
async fn measure(args: &Args) -> Result<Report> {
    let setting = Setting::new(args).await?;
    let (mut findings, mut failures) = (Findings::default(), Vec::new());
    for work in args.works() {
        let measured = tokio::select! {
            measured = AssertUnwindSafe(work.measure(&setting)).catch_unwind() => {
                measured.unwrap_or_else(|_| Err(anyhow!("the load program panicked")))
            }
            _ = tokio::signal::ctrl_c() => {
                failures.push("interrupted".to_owned());
                break;
            }
        };
        match measured {
            Ok(found) => findings.add(found),
            Err(error) => failures.push(format!("{work:?}: {error:#}")),
        }
    }
    setting.clean().await?;
    Ok(Report::new(&setting, args, findings, failures))
}
