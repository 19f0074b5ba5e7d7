//! Notices a consumer that has nothing to do, and that the server may take for busy all the same.
//!
//! A quorum queue that elects another leader may go on counting messages as unacknowledged whose acks got lost in that moment
//! (rabbitmq-server issue 15473). They take up the consumer's prefetch, all of it perhaps, until its channel is closed: it then
//! gets nothing more, and they are given to nobody. The client sees no sign of it but silence.

use super::acks::Acks;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// A consumer to which nothing was delivered for one to two of these, and that owes nothing, begins anew: once, until something is
/// delivered again.
const PERIOD: Duration = Duration::from_secs(10);

pub(super) struct Quiet {
    periods: Interval,
    /// What had been delivered by the last look, if all of it was settled.
    at_rest: Option<u64>,
}

impl Quiet {
    pub(super) fn new() -> Quiet {
        let mut periods = interval(PERIOD);
        periods.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Quiet { periods, at_rest: None }
    }

    /// Resolves when nothing was delivered for a whole period in which all of the channel's deliveries were settled, and the
    /// server was told. Never for a channel that has delivered nothing. Cancel safe.
    pub(super) async fn lasts(&mut self, acks: &Acks) {
        loop {
            self.periods.tick().await;
            let at_rest = acks.at_rest();
            if std::mem::replace(&mut self.at_rest, at_rest) == at_rest && at_rest.is_some() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;
    use taskq_core::Settlement;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(600);

    fn acks() -> Acks {
        Acks::new(NonZeroU16::MAX, |_| Ok(()))
    }

    fn settle(acks: &Acks, tag: u64) {
        acks.settle(tag, Settlement::Ack);
        acks.tell();
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_delivered_nothing_is_never_quiet() {
        assert!(timeout(LONG, Quiet::new().lasts(&acks())).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_or_not_told_is_no_quiet() {
        let (acks, mut quiet) = (acks(), Quiet::new());
        acks.deliver();
        assert!(timeout(LONG, quiet.lasts(&acks)).await.is_err(), "a delivery is held");
        acks.settle(1, Settlement::Ack);
        assert!(timeout(LONG, quiet.lasts(&acks)).await.is_err(), "the server was not told");
        acks.tell();
        assert!(timeout(PERIOD * 2, quiet.lasts(&acks)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_breaks_it() {
        let (acks, mut quiet) = (acks(), Quiet::new());
        for tag in 1..50 {
            acks.deliver();
            settle(&acks, tag);
            assert!(timeout(PERIOD - Duration::from_secs(1), quiet.lasts(&acks)).await.is_err(), "{tag} have come");
        }
        assert!(timeout(PERIOD * 2, quiet.lasts(&acks)).await.is_ok());
    }
}
