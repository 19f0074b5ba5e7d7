//! Whether the runs of a queue may be begun one after the other on one thread. Not those that compute for long: whatever their
//! thread has been asked to do next waits for them.

/// So many runs are spawned after one that was slow; twice as many after the next.
const LEAST: u32 = 64;
const MOST: u32 = 65_536;
/// After so many quick ones in a row, half as many again. A thread that the system takes away for a moment looks slow too, and
/// that happens less often.
const FORGIVEN_AFTER: u32 = 256;

#[derive(Debug)]
pub(super) struct Trust {
    /// Runs that are to be spawned yet.
    suspended: u32,
    /// What the next slow run costs.
    price: u32,
    quick: u32,
}

impl Default for Trust {
    fn default() -> Self {
        Trust { suspended: 0, price: LEAST, quick: 0 }
    }
}

impl Trust {
    /// Whether the next run is trusted.
    pub(super) fn next(&mut self) -> bool {
        let is_trusted = self.suspended == 0;
        self.suspended = self.suspended.saturating_sub(1);
        is_trusted
    }

    /// How a run was that had been trusted.
    pub(super) fn note(&mut self, is_slow: bool) {
        if is_slow {
            self.suspended = self.price;
            self.price = (self.price * 2).min(MOST);
            self.quick = 0;
            return;
        }
        self.quick += 1;
        if self.quick == FORGIVEN_AFTER {
            self.quick = 0;
            self.price = (self.price / 2).max(LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many runs are begun on trust, where every so many-th is slow.
    fn trusted(runs: u32, slow: u32) -> u32 {
        let mut trust = Trust::default();
        let is_trusted = |run: &u32| {
            let is_trusted = trust.next();
            if is_trusted {
                trust.note(run.is_multiple_of(slow));
            }
            is_trusted
        };
        (1..=runs).filter(is_trusted).count() as u32
    }

    #[test]
    fn quick_runs_are_trusted() {
        assert_eq!(trusted(100_000, u32::MAX), 100_000);
    }

    #[test]
    fn runs_that_are_all_slow_are_hardly_ever_trusted() {
        assert!(trusted(100_000, 1) < 20, "{}", trusted(100_000, 1));
    }

    #[test]
    fn a_few_slow_ones_among_quick_ones_are_learned() {
        assert!(trusted(100_000, 10) < 500, "{}", trusted(100_000, 10));
    }

    #[test]
    fn a_thread_that_was_taken_away_now_and_then_costs_little() {
        assert!(trusted(100_000, 700) > 85_000, "{}", trusted(100_000, 700));
    }
}
