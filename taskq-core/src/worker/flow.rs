//! Whether ends come in a steady flow, so that it pays to let some more of them come before the next are stored: to be woken
//! for a few at a time takes a fifth of a worker's CPU.

/// So many that were stored together are more than a few.
const LEAST: usize = 6;

/// More than that at once, half of what is stored together at most, is no flow but a backlog, of which there is always enough at
/// hand.
const MOST: usize = 128;

/// Larger groups before count for less with each that follows, by one part of so many.
const FORGET: usize = 8;

/// After so many stores in a row during which nothing has come there is no flow: callers may have fallen into step, who all send
/// the next task when they are told of the last, and would only be made to wait.
const PATIENCE: u32 = 8;

pub(super) struct Flow {
    most: usize,
    /// The largest group of late.
    peak: usize,
    /// Stores in a row during which nothing has come.
    quiet: u32,
}

impl Flow {
    /// `concurrency` is that of the worker's queue which has the least. What comes in a pause is to be a small part of what a
    /// broker may send before it must wait for acks.
    pub(super) fn new(concurrency: usize) -> Self {
        Flow { most: MOST.min(concurrency / 3), peak: 0, quiet: PATIENCE }
    }

    /// Whether ends come in a steady flow, by how many were stored together now, and whether something has come meanwhile.
    pub(super) fn is_steady(&mut self, stored: usize, has_come: bool) -> bool {
        self.peak = stored.max(self.peak - self.peak.div_ceil(FORGET));
        self.quiet = if has_come { 0 } else { self.quiet.saturating_add(1) };
        stored >= LEAST && self.peak <= self.most && self.quiet < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady<const N: usize>(flow: &mut Flow, groups: [usize; N]) -> [bool; N] {
        groups.map(|stored| flow.is_steady(stored, true))
    }

    #[test]
    fn a_few_at_a_time_are_no_flow_and_more_are() {
        assert_eq!(steady(&mut Flow::new(100), [1, 5, 6, 33, 5]), [false, false, true, true, false]);
    }

    #[test]
    fn a_backlog_is_no_flow_and_is_forgotten_when_it_is_gone() {
        let mut flow = Flow::new(100);
        assert_eq!(steady(&mut flow, [34, 20, 100, 20]), [false, true, false, false]);
        let until_steady = (0..100).take_while(|_| !flow.is_steady(20, true)).count();
        assert!((4..12).contains(&until_steady), "{until_steady}");
        assert_eq!(steady(&mut Flow::new(10_000), [128, 129]), [true, false]);
    }

    #[test]
    fn a_worker_that_runs_few_at_once_has_no_flow() {
        assert_eq!(steady(&mut Flow::new(17), [5, 6, 17]), [false; 3]);
    }

    #[test]
    fn there_is_no_flow_where_nothing_comes_while_others_are_stored() {
        let mut flow = Flow::new(100);
        assert!(!flow.is_steady(20, false));
        assert!(flow.is_steady(20, true));
        let steady = (0..100).take_while(|_| flow.is_steady(20, false)).count();
        assert_eq!(steady, PATIENCE as usize - 1);
        assert!(flow.is_steady(20, true));
    }
}
