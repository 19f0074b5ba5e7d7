//! How long something took, many times over.

use crate::protocol::Figures;
use anyhow::Result;
use hdrhistogram::Histogram;

const LONGEST_MICROS: u64 = 3_600_000_000;

/// Three digits of every value, from a microsecond to an hour.
#[derive(Debug)]
pub(crate) struct Distribution(Histogram<u64>);

impl Distribution {
    pub(crate) fn new() -> Result<Self> {
        Ok(Distribution(Histogram::new_with_bounds(1, LONGEST_MICROS, 3)?))
    }

    /// Adds one, in nanoseconds.
    pub(crate) fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos / 1_000);
    }

    /// The quantiles by name, in milliseconds.
    pub(crate) fn put(&self, what: &str, figures: &mut Figures) {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
            figures.insert(format!("{what} {name}"), self.0.value_at_quantile(quantile) as f64 / 1_000.0);
        }
        figures.insert(format!("{what} count"), self.0.len() as f64);
    }
}
