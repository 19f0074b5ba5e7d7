//! What is to be reached, and what the floor must reach for a ratio to count.

use crate::{contest::Contest, stats::Quartiles};
use serde::{Deserialize, Serialize};

/// A median that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// A change by at most so much, for better or worse.
    Within(f64),
    /// Told, not judged.
    Nothing,
}

impl Wanted {
    /// `None` if nothing is wanted.
    pub(crate) fn is_met(self, median: f64) -> Option<bool> {
        match self {
            Wanted::AtLeast(least) => Some(median >= least),
            Wanted::AtMost(most) => Some(median <= most),
            Wanted::Within(most) => Some(median.abs() <= most),
            Wanted::Nothing => None,
        }
    }
}

/// One line of the verdict.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) floor: String,
    pub(crate) unit: String,
    pub(crate) wanted: Wanted,
    pub(crate) measured: Quartiles,
    /// How many pairs of runs, or runs, that is.
    pub(crate) count: usize,
}

impl Row {
    /// A ratio of taskq to the floor; `None` if there was no such pair.
    pub(crate) fn ratio(
        contest: &Contest,
        what: &str,
        (of, to): (&str, &str),
        figure: &str,
        wanted: Wanted,
    ) -> Option<Self> {
        let work = if what.is_empty() { contest.name.clone() } else { format!("{}: {what}", contest.name) };
        Row::of(work, to, "x", wanted, &contest.ratios(figure, of, to))
    }

    /// Values that have no floor, or carry it in themselves.
    pub(crate) fn of(
        work: impl Into<String>,
        floor: impl Into<String>,
        unit: &str,
        wanted: Wanted,
        values: &[f64],
    ) -> Option<Self> {
        let measured = Quartiles::of(values)?;
        Some(Row { work: work.into(), floor: floor.into(), unit: unit.into(), wanted, measured, count: values.len() })
    }
}

/// What a floor was seen to reach on a machine of two cores, tasks per second, from and to.
pub(crate) struct Known {
    contest: &'static str,
    contender: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// A floor that is weaker than this by more than 30 % makes every ratio strong.
pub(crate) const SLACK: f64 = 0.7;

#[rustfmt::skip]
const KNOWN: [Known; 11] = [
    Known { contest: "publish", contender: "raw, one at a time", from: 1_300.0, to: 1_700.0 },
    Known { contest: "publish", contender: "raw, 100 in flight", from: 7_400.0, to: 16_000.0 },
    Known { contest: "publish", contender: "raw, 1,000 in flight", from: 13_000.0, to: 20_000.0 },
    Known { contest: "publish", contender: "shape, 100 callers", from: 8_900.0, to: 15_000.0 },
    Known { contest: "publish", contender: "shape, 1,000 callers", from: 16_000.0, to: 24_000.0 },
    Known { contest: "drain with results, classic", contender: "one by one", from: 14_000.0, to: 19_000.0 },
    Known { contest: "drain with results, quorum", contender: "one by one", from: 27_000.0, to: 44_000.0 },
    Known { contest: "drain with results, classic", contender: "together", from: 32_000.0, to: 71_000.0 },
    Known { contest: "drain with results, quorum", contender: "together", from: 35_000.0, to: 75_000.0 },
    Known { contest: "drain with results, classic", contender: "shape", from: 24_000.0, to: 47_000.0 },
    Known { contest: "drain with results, quorum", contender: "shape", from: 52_000.0, to: 68_000.0 },
];

/// What this contender of this contest is known to reach, if anything is.
pub(crate) fn known(contest: &str, contender: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| contest.starts_with(known.contest) && known.contender == contender)
}
