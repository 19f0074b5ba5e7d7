//! When a delivery was sent at the earliest, though nobody saw it come.
//!
//! By the answers to its questions a connection knows that what comes now was sent after some instant. A delivery may have lain
//! there for long before it is taken: for it that holds which was known when it had certainly not come yet.

use std::num::NonZeroU16;
use tokio::time::Instant;

#[derive(Clone)]
pub(super) struct Arrivals {
    /// No more than so many can lie there.
    prefetch: u64,
    taken: u64,
    /// What was known before anything came that is taken from now on.
    known: Instant,
    /// What was known at some later moment, and what had been taken then.
    later: (Instant, u64),
}

impl Arrivals {
    /// `heard` is what was known before the first delivery could come.
    pub(super) fn new(heard: Instant, prefetch: NonZeroU16) -> Arrivals {
        Arrivals { prefetch: prefetch.get().into(), taken: 0, known: heard, later: (heard, 0) }
    }

    /// Nothing lies there any more. `heard` was asked for before that was seen.
    pub(super) fn none_left(&mut self, heard: Instant) {
        (self.known, self.later) = (heard, (heard, self.taken));
    }

    /// One is taken: it was sent after this instant. `heard` is what is known now.
    pub(super) fn next(&mut self, heard: Instant) -> Instant {
        self.taken += 1;
        let (known, taken) = self.later;
        // All that lay there then have been taken before it.
        if self.taken > taken + self.prefetch {
            (self.known, self.later) = (known, (heard, self.taken));
        }
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::VecDeque, time::Duration};

    const PREFETCH: NonZeroU16 = NonZeroU16::new(8).unwrap();

    #[test]
    fn what_has_lain_there_is_as_old_as_what_was_known_before_it_came() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut arrivals = Arrivals::new(at(0), PREFETCH);
        arrivals.none_left(at(1));
        assert_eq!(arrivals.next(at(9)), at(1));
        arrivals.none_left(at(9));
        assert_eq!(arrivals.next(at(9)), at(9));
    }

    #[test]
    fn where_it_never_runs_empty_a_prefetch_later_more_is_known() {
        let began = Instant::now();
        let mut arrivals = Arrivals::new(began, PREFETCH);
        let mut last = began;
        for number in 1..100 {
            let now = began + Duration::from_secs(number);
            last = arrivals.next(now);
            assert!(now - last <= Duration::from_secs(2 * 8 + 1), "{number}");
        }
        assert!(last > began);
    }

    /// Each stands for the instant at which it came; what is known is always the present.
    #[test]
    fn nothing_is_said_to_be_younger_than_it_is() {
        let began = Instant::now();
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut arrivals = Arrivals::new(began, PREFETCH);
            let mut lying = VecDeque::new();
            for step in 0..500 {
                let now = began + Duration::from_secs(step);
                for _ in 0..random.usize(0..4) {
                    if lying.len() < PREFETCH.get().into() {
                        lying.push_back(now);
                    }
                }
                for _ in 0..random.usize(0..4) {
                    match lying.pop_front() {
                        Some(came) => assert!(arrivals.next(now) <= came, "seed {seed}, step {step}"),
                        None => arrivals.none_left(now),
                    }
                }
            }
        }
    }
}
