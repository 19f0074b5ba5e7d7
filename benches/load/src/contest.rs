//! Floor and taskq in turn: the figures of every run, and the ratios of those that were made one after the other.

use crate::{protocol::Figures, stats::Quartiles};
use anyhow::Result;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that is measured again and again.
pub(crate) struct Contender<'a> {
    name: &'static str,
    run: Box<dyn Fn() -> BoxFuture<'a, Result<Figures>> + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: &'static str, run: impl Fn() -> BoxFuture<'a, Result<Figures>> + 'a) -> Self {
        Contender { name, run: Box::new(run) }
    }
}

/// What came of one kind of work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Contest {
    pub(crate) name: String,
    /// In the order of the first round.
    pub(crate) contenders: Vec<String>,
    /// By contender, one entry per round.
    pub(crate) runs: BTreeMap<String, Vec<Figures>>,
}

impl Contest {
    /// Measures all contenders in each round. Every other round goes backwards, so that none is always the one after some
    /// other.
    pub(crate) async fn hold(name: impl Into<String>, rounds: usize, contenders: &[Contender<'_>]) -> Result<Self> {
        let name = name.into();
        let mut runs: BTreeMap<String, Vec<Figures>> = BTreeMap::new();
        for round in 0..rounds {
            let mut order: Vec<_> = contenders.iter().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for contender in order {
                let figures = (contender.run)().await?;
                tell(&name, round, contender.name, &figures);
                runs.entry(contender.name.to_owned()).or_default().push(figures);
            }
        }
        let contenders = contenders.iter().map(|contender| contender.name.to_owned()).collect();
        Ok(Contest { name, contenders, runs })
    }

    /// A figure of a contender in every round.
    pub(crate) fn values(&self, contender: &str, figure: &str) -> Vec<f64> {
        let runs = self.runs.get(contender).map_or([].as_slice(), Vec::as_slice);
        runs.iter().filter_map(|figures| figures.get(figure).copied()).collect()
    }

    pub(crate) fn quartiles(&self, contender: &str, figure: &str) -> Option<Quartiles> {
        Quartiles::of(&self.values(contender, figure))
    }

    /// The ratio of a figure in every round.
    pub(crate) fn ratios(&self, figure: &str, of: &str, to: &str) -> Vec<f64> {
        self.values(of, figure).into_iter().zip(self.values(to, figure)).map(|(of, to)| of / to).collect()
    }
}

fn tell(name: &str, round: usize, contender: &str, figures: &Figures) {
    let figure = figures.get("per second").map(|rate| format!("{rate:.0} /s"));
    let figure = figure.or_else(|| figures.iter().next().map(|(name, value)| format!("{name} {value:.2}")));
    eprintln!("{name}, round {}: {contender}: {}", round + 1, figure.unwrap_or_default());
}
