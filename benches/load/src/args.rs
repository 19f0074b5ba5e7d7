//! The command line.

use crate::{
    amounts::Amounts,
    protocol::Kind,
    work::{GROWTH, USUAL, Work},
};
use clap::Parser;
use std::path::PathBuf;

/// Rounds of a measurement whose figures count.
const ROUNDS: usize = 5;

#[derive(Debug, Clone, Parser)]
#[command(
    about = "measures taskq beside its floor, which is nothing but lapin and redis doing the same work",
    after_help = "RabbitMQ and Redis are those of TASKQ_TEST_AMQP_URL and TASKQ_TEST_REDIS_URL, or of localhost."
)]
pub(crate) struct Args {
    /// What is measured; everything but growth, unless told.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Work>,
    /// Kinds of queues.
    #[arg(long, value_delimiter = ',', default_values = ["quorum", "classic"])]
    pub(crate) kinds: Vec<Kind>,
    /// How often floor and taskq take turns; 5 unless told.
    #[arg(long)]
    rounds: Option<usize>,
    /// Tasks per run wherever a rate is measured.
    #[arg(long)]
    tasks: Option<u64>,
    /// Every kind of work once, with very little of it: shows that all of it works, and nothing else.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where everything that was measured is written, as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Where curves are drawn, as SVG.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Measures nothing: shows and draws what earlier runs wrote as JSON.
    #[arg(long, value_delimiter = ',')]
    pub(crate) from: Vec<PathBuf>,
}

impl Args {
    pub(crate) fn works(&self) -> Vec<Work> {
        match (self.only.as_slice(), self.quick) {
            ([], false) => USUAL.to_vec(),
            ([], true) => USUAL.into_iter().chain(GROWTH).collect(),
            (only, _) => only.to_vec(),
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { ROUNDS })
    }

    pub(crate) fn amounts(&self) -> Amounts {
        let amounts = if self.quick { Amounts::quick() } else { Amounts::full() };
        match self.tasks {
            Some(tasks) => amounts.with_tasks(tasks),
            None => amounts,
        }
    }
}
