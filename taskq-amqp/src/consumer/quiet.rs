//! Notices a consumer that has nothing to do, and that the server may take for busy all the same.
//!
//! A quorum queue that elects another leader may go on counting messages as unacknowledged whose acks got lost in that moment
//! (rabbitmq-server issue 15473). They take up the consumer's prefetch, all of it perhaps, until its channel is closed: it then
//! gets nothing more, and they are given to nobody. The client sees no sign of it but silence.

use std::time::Duration;
use tokio::time::Instant;

/// A consumer to which nothing was delivered for so long, and that owes nothing, begins anew: once, until something is delivered
/// again.
const PERIOD: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Quiet {
    /// What had been delivered when it was first seen at rest, and when that was.
    since: Option<(u64, Instant)>,
}

impl Quiet {
    /// Whether nothing was delivered for a whole period in which all of the channel's deliveries were settled, and the server was
    /// told. `at_rest` is what was delivered in all, if that is so now; a channel that has delivered nothing is not quiet.
    pub(super) fn lasts(&mut self, at_rest: Option<u64>) -> bool {
        let Some(delivered) = at_rest else {
            self.since = None;
            return false;
        };
        match self.since {
            Some((before, since)) if before == delivered => since.elapsed() >= PERIOD,
            _ => {
                self.since = Some((delivered, Instant::now()));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn it_lasts_when_a_period_has_passed_at_rest() {
        let mut quiet = Quiet::default();
        assert!(!quiet.lasts(Some(1)));
        advance(PERIOD - Duration::from_secs(1)).await;
        assert!(!quiet.lasts(Some(1)));
        advance(Duration::from_secs(1)).await;
        assert!(quiet.lasts(Some(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_or_delivered_breaks_it() {
        let mut quiet = Quiet::default();
        for delivered in 1..50 {
            assert!(!quiet.lasts(Some(delivered)), "{delivered} have come");
            advance(PERIOD - Duration::from_secs(1)).await;
        }
        assert!(!quiet.lasts(None), "one is held, or the server was not told");
        advance(PERIOD).await;
        assert!(!quiet.lasts(Some(49)));
    }
}
