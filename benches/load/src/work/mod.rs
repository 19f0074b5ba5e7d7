//! The kinds of work, each as it is measured.

mod drain;
mod growth;
mod in_memory;
mod later;
mod memory;
mod publish;
mod steady;
mod waiting;

use crate::{findings::Findings, setting::Setting};
use anyhow::Result;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Work {
    /// One caller that awaits each, 100 callers, `kiq_many`.
    Publish,
    /// A backlog, with results and without.
    Drain,
    /// Publisher and worker together: closed loop, and open loop at 50 % and 80 % of that.
    Steady,
    /// Idle: `kiq` to `wait_result`.
    RoundTrip,
    /// 1,000 handles waited for at once.
    Handles,
    /// Tasks that are delayed by their callers.
    Delayed,
    /// Tasks that fail and are published again.
    Retries,
    /// An idle worker, and tasks that sleep.
    Memory,
    /// The broker inside the process.
    InMemory,
    /// Drain at 10,000 to 1,000,000 tasks in the queue.
    GrowthBacklog,
    /// Publish and drain bodies of 100 B to 1 MB.
    GrowthBody,
    /// Drain by 1 to 10,000 at once.
    GrowthConcurrency,
    /// Drain 1 to 100 queues.
    GrowthQueues,
    /// All four of them.
    Growth,
}

/// What is measured unless something else is asked for: growth takes long.
pub(crate) const USUAL: [Work; 9] = [
    Work::Publish,
    Work::Drain,
    Work::Steady,
    Work::RoundTrip,
    Work::Handles,
    Work::Delayed,
    Work::Retries,
    Work::Memory,
    Work::InMemory,
];

pub(crate) const GROWTH: [Work; 4] =
    [Work::GrowthBacklog, Work::GrowthBody, Work::GrowthConcurrency, Work::GrowthQueues];

impl Work {
    pub(crate) async fn measure(self, setting: &Setting) -> Result<Findings> {
        match self {
            Work::Publish => publish::measure(setting).await,
            Work::Drain => drain::measure(setting).await,
            Work::Steady => steady::measure(setting).await,
            Work::RoundTrip => waiting::round_trips(setting).await,
            Work::Handles => waiting::handles(setting).await,
            Work::Delayed => later::delayed(setting).await,
            Work::Retries => later::retries(setting).await,
            Work::Memory => memory::measure(setting).await,
            Work::InMemory => in_memory::measure(setting).await,
            Work::GrowthBacklog => growth::backlog(setting).await,
            Work::GrowthBody => growth::body(setting).await,
            Work::GrowthConcurrency => growth::concurrency(setting).await,
            Work::GrowthQueues => growth::queues(setting).await,
            Work::Growth => {
                let mut findings = Findings::default();
                for part in GROWTH {
                    findings.add(Box::pin(part.measure(setting)).await?);
                }
                Ok(findings)
            }
        }
    }
}
