//! What was measured.

use crate::{contest::Contest, targets::Row};
use serde::{Deserialize, Serialize};

/// All that one kind of work came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Findings {
    pub(crate) contests: Vec<Contest>,
    pub(crate) rows: Vec<Row>,
    pub(crate) curves: Vec<Curve>,
}

/// How rates change with something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// What changes.
    pub(crate) axis: String,
    pub(crate) points: Vec<Point>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) at: f64,
    pub(crate) contest: Contest,
}

impl Findings {
    pub(crate) fn add(&mut self, other: Findings) {
        self.contests.extend(other.contests);
        self.rows.extend(other.rows);
        self.curves.extend(other.curves);
    }

    /// A contest and what is read from it.
    pub(crate) fn put<const N: usize>(&mut self, contest: Contest, rows: [Option<Row>; N]) {
        self.rows.extend(rows.into_iter().flatten());
        self.contests.push(contest);
    }
}
