//! Which confirmed message was returned: lapin's answers put in order.
//!
//! The server returns an unroutable message before it confirms it. lapin keeps returned messages in a line and gives the
//! first of the line to whichever confirm completes next, so a confirm may carry another message's return, and the
//! return of a message may come with a later confirm than its own. Two facts make a verdict certain all the same:
//!
//! * A confirm that carries nothing found the line empty. Whatever was returned before it, its own message included, came
//!   with confirms that completed earlier.
//! * A confirm that carries another message's return leaves its own message open until that message's return is seen, or
//!   a confirm that completed later carries nothing, or no confirm is outstanding.
//!
//! The second never takes long: as long as the line is not empty, the confirm of a returned message is on its way.
//!
//! Confirms are *seen* in about the order of their completion. Each one is *settled* after all that were complete when it
//! was seen have been seen too; [`super::window`] sees to that.

use std::{collections::VecDeque, mem};

/// What a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Confirmed,
    Returned,
    Nacked,
}

/// A message's number in the window.
pub(super) type Key = usize;

/// A confirm as it was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    nacked: bool,
    carries: Carries,
    /// How many messages had been left open until then.
    opened: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    Nothing,
    Return,
}

#[derive(Default)]
pub(super) struct Verdicts {
    /// By key: whether the message's return was seen.
    returned: Vec<bool>,
    /// Settled messages whose return may still come, with their number among all that were left open.
    open: VecDeque<(u64, Key)>,
    opened: u64,
}

impl Verdicts {
    /// A confirm was seen; with it came the return of the message `returned`, or some other return, or none.
    pub(super) fn see(&mut self, nacked: bool, carried: bool, returned: Option<Key>) -> Seen {
        if let Some(key) = returned {
            *self.flag(key) = true;
        }
        let carries = if carried { Carries::Return } else { Carries::Nothing };
        Seen { nacked, carries, opened: self.opened }
    }

    /// Settles the message of a confirm that was seen, and those that it makes certain.
    pub(super) fn settle(&mut self, key: Key, seen: Seen, verdicts: &mut Vec<(Key, Verdict)>) {
        if seen.carries == Carries::Nothing {
            while let Some((_, open)) = self.open.pop_front_if(|(number, _)| *number <= seen.opened) {
                verdicts.push((open, self.certain(open)));
            }
        }
        if mem::take(self.flag(key)) {
            verdicts.push((key, Verdict::Returned));
        } else if seen.nacked {
            verdicts.push((key, Verdict::Nacked));
        } else if seen.carries == Carries::Nothing {
            verdicts.push((key, Verdict::Confirmed));
        } else {
            self.opened += 1;
            self.open.push_back((self.opened, key));
        }
    }

    /// Settles all that is open: no confirm is outstanding.
    pub(super) fn finish(&mut self, verdicts: &mut Vec<(Key, Verdict)>) {
        while let Some((_, open)) = self.open.pop_front() {
            verdicts.push((open, self.certain(open)));
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    fn certain(&mut self, key: Key) -> Verdict {
        if mem::take(self.flag(key)) { Verdict::Returned } else { Verdict::Confirmed }
    }

    fn flag(&mut self, key: Key) -> &mut bool {
        if self.returned.len() <= key {
            self.returned.resize(key + 1, false);
        }
        &mut self.returned[key]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// A confirm as lapin completes it: whose it is, and whose return came with it.
    type Completed = (Key, Option<Key>);

    /// lapin's rule, for confirms in this order. Returns are in line before their own confirm, some long before.
    fn completions(order: &[Key], returned: &HashSet<Key>, early: &[bool]) -> Vec<Completed> {
        let mut line = VecDeque::new();
        let mut sent = HashSet::new();
        let mut completed = Vec::new();
        for (at, key) in order.iter().enumerate() {
            for (ahead, other) in order.iter().enumerate().skip(at) {
                let is_sent = ahead == at || early[(at * 7 + ahead) % early.len()];
                if is_sent && returned.contains(other) && sent.insert(*other) {
                    line.push_back(*other);
                }
            }
            completed.push((*key, line.pop_front()));
        }
        completed
    }

    /// Sees and settles them as the window does: seen in an order that may differ from that of completion among those
    /// that are complete at the time, each settled after all that were complete when it was seen.
    fn verdicts(completed: &[Completed], bursts: &[usize], swaps: &[usize]) -> Vec<(Key, Verdict)> {
        let mut state = Verdicts::default();
        let mut told = Vec::new();
        let mut rest = completed;
        for burst in bursts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*burst).min(rest.len()));
            rest = later;
            let mut now = now.to_vec();
            for (at, swap) in swaps.iter().enumerate().take(now.len()) {
                let other = swap % now.len();
                now.swap(at, other);
            }
            let seen: Vec<(Key, Seen)> =
                now.iter().map(|(key, carried)| (*key, state.see(false, carried.is_some(), *carried))).collect();
            for (key, seen) in seen {
                state.settle(key, seen, &mut told);
            }
        }
        state.finish(&mut told);
        told
    }

    proptest! {
        #[test]
        fn every_message_gets_its_own_verdict(
            order in Just((0..24).collect::<Vec<Key>>()).prop_shuffle(),
            returned in prop::collection::hash_set(0usize..24, 0..24),
            early in prop::collection::vec(any::<bool>(), 1..50),
            bursts in prop::collection::vec(1usize..6, 1..10),
            swaps in prop::collection::vec(0usize..24, 24),
        ) {
            let completed = completions(&order, &returned, &early);
            let told = verdicts(&completed, &bursts, &swaps);
            prop_assert_eq!(told.len(), order.len());
            for (key, verdict) in told {
                let wanted = if returned.contains(&key) { Verdict::Returned } else { Verdict::Confirmed };
                prop_assert_eq!(verdict, wanted, "message {}", key);
            }
        }
    }

    #[test]
    fn a_confirm_that_carries_nothing_is_certain_at_once() {
        let mut state = Verdicts::default();
        let mut told = Vec::new();
        let seen = state.see(false, false, None);
        state.settle(3, seen, &mut told);
        assert_eq!(told, [(3, Verdict::Confirmed)]);
    }

    #[test]
    fn a_strangers_return_leaves_the_message_open_until_the_line_was_empty() {
        let mut state = Verdicts::default();
        let mut told = Vec::new();
        let seen = state.see(false, true, Some(1));
        state.settle(0, seen, &mut told);
        assert!(told.is_empty());
        assert_eq!(state.open(), 1);
        let seen = state.see(false, false, None);
        state.settle(1, seen, &mut told);
        assert_eq!(told, [(0, Verdict::Confirmed), (1, Verdict::Returned)]);
    }
}
