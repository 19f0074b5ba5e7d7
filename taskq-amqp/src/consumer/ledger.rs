//! Which tags of one channel are settled, and what the server is to be told next.
//!
//! The server numbers the deliveries of a channel from 1. Once all tags up to one are settled, one ack tells of all of them.

use std::collections::{BTreeMap, BTreeSet};
use taskq_core::Settlement;

/// What to tell the server, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// To be given back, one by one.
    pub(super) requeued: Vec<u64>,
    /// To be acked with all before it.
    pub(super) acked_up_to: Option<u64>,
    /// To be acked one by one: something before them is not settled, and does not look as if it soon will be.
    pub(super) acked: Vec<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    delivered: u64,
    settled: u64,
    /// The server was told about all up to this.
    floor: u64,
    /// It was told about these too.
    told: BTreeSet<u64>,
    requeued: Vec<u64>,
    /// Acked and not told yet; whether they were left out of a batch before.
    acked: BTreeMap<u64, bool>,
}

impl Ledger {
    pub(super) fn deliver(&mut self) {
        self.delivered += 1;
    }

    pub(super) fn settle(&mut self, tag: u64, settlement: Settlement) {
        self.settled += 1;
        match settlement {
            Settlement::Ack => drop(self.acked.insert(tag, false)),
            Settlement::Requeue => self.requeued.push(tag),
        }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Deliveries in somebody's hands.
    pub(super) fn unsettled(&self) -> u64 {
        self.delivered - self.settled
    }

    /// Settlements that the server was not told about.
    pub(super) fn untold(&self) -> usize {
        self.acked.len() + self.requeued.len()
    }

    /// What to tell now. An ack that cannot be told together with all before it is left out once, in case it soon can,
    /// unless this is the `last` batch.
    pub(super) fn take(&mut self, last: bool) -> Batch {
        let mut batch = Batch { requeued: std::mem::take(&mut self.requeued), ..Batch::default() };
        self.told.extend(&batch.requeued);
        loop {
            let next = self.floor + 1;
            if self.acked.remove(&next).is_some() {
                batch.acked_up_to = Some(next);
            } else if !self.told.remove(&next) {
                break;
            }
            self.floor = next;
        }
        batch.acked = self
            .acked
            .extract_if(.., |_, was_left_out| std::mem::replace(was_left_out, true) || last)
            .map(|(tag, _)| tag)
            .collect();
        self.told.extend(&batch.acked);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ledger(delivered: u64) -> Ledger {
        let mut ledger = Ledger::default();
        (0..delivered).for_each(|_| ledger.deliver());
        ledger
    }

    #[test]
    fn what_is_contiguous_is_acked_at_once() {
        let mut ledger = ledger(4);
        for tag in [2, 1, 3] {
            ledger.settle(tag, Settlement::Ack);
        }
        assert_eq!(ledger.take(false), Batch { acked_up_to: Some(3), ..Batch::default() });
        assert_eq!((ledger.unsettled(), ledger.untold()), (1, 0));
    }

    #[test]
    fn a_gap_holds_acks_up_for_one_batch_only() {
        let mut ledger = ledger(3);
        ledger.settle(2, Settlement::Ack);
        assert_eq!(ledger.take(false), Batch::default());
        assert_eq!(ledger.take(false), Batch { acked: vec![2], ..Batch::default() });
        ledger.settle(1, Settlement::Requeue);
        assert_eq!(ledger.take(false), Batch { requeued: vec![1], ..Batch::default() });
        ledger.settle(3, Settlement::Ack);
        assert_eq!(ledger.take(false), Batch { acked_up_to: Some(3), ..Batch::default() });
    }

    proptest! {
        /// A server that knows what is unacked finds every word of every batch right, and in the end has heard it all.
        #[test]
        fn the_server_is_told_all_and_never_of_a_tag_twice(
            order in Just((1u64..=40).collect::<Vec<_>>()).prop_shuffle(),
            requeued in prop::collection::hash_set(1u64..=40, 0..20),
            pauses in prop::collection::vec(any::<bool>(), 40),
        ) {
            let mut ledger = ledger(40);
            let mut unacked: BTreeSet<u64> = (1..=40).collect();
            let mut settled = BTreeSet::new();
            let mut tell = |batch: Batch, settled: &BTreeSet<u64>| {
                for tag in batch.requeued {
                    assert!(requeued.contains(&tag) && unacked.remove(&tag));
                }
                if let Some(up_to) = batch.acked_up_to {
                    assert!(unacked.contains(&up_to), "unknown tag {up_to}");
                    assert!(unacked.range(..=up_to).all(|tag| settled.contains(tag) && !requeued.contains(tag)));
                    unacked.retain(|tag| *tag > up_to);
                }
                for tag in batch.acked {
                    assert!(settled.contains(&tag) && unacked.remove(&tag));
                }
                unacked.len()
            };
            for (tag, pause) in order.iter().zip(pauses) {
                let settlement = if requeued.contains(tag) { Settlement::Requeue } else { Settlement::Ack };
                ledger.settle(*tag, settlement);
                settled.insert(*tag);
                if pause {
                    tell(ledger.take(false), &settled);
                }
            }
            prop_assert_eq!(tell(ledger.take(true), &settled), 0);
            prop_assert_eq!((ledger.unsettled(), ledger.untold()), (0, 0));
        }
    }
}
