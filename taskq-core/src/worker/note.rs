//! The note that a run was carried out. By it whoever has the same message again, after a lost ack or because it was published
//! twice, learns that there is nothing left to do.

use super::{
    patience::Patience,
    settle::Settling,
    standing::{Footing, Standing},
};
use crate::{defaults::CLAIM_TTL, message::Message, outcome::Verdict, record::End};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// What a note may take once its worker has to end.
const LAST_TRY: Duration = Duration::from_secs(1);

pub(super) struct Note {
    /// The task ended with it.
    ended: bool,
}

impl Note {
    /// What is to be noted once the verdict is durable. A task that is done needs no note: its record says as much, and the
    /// healthy path writes nothing else.
    pub(super) fn of(verdict: &Verdict, standing: Option<&Standing>) -> Option<Note> {
        let is_claimed = standing.is_some_and(Standing::is_claimed);
        match verdict {
            Verdict::Retry { .. } => Some(Note { ended: false }),
            Verdict::DeadLetter(_) => Some(Note { ended: true }),
            Verdict::Finish(_) if is_claimed => Some(Note { ended: true }),
            Verdict::Repeat(record) if matches!(record.end, End::Failed(_)) => Some(Note { ended: true }),
            Verdict::Finish(_) | Verdict::Repeat(_) | Verdict::Wait { .. } | Verdict::Forget | Verdict::GiveBack => {
                None
            }
        }
    }
}

impl Settling {
    /// Before the ack: what comes again after it was lost must find the note.
    pub(super) async fn note(&self, note: Option<Note>, standing: Option<Standing>) {
        let Some(message) = self.subject.message() else { return };
        match (note, standing) {
            (Some(note), standing) => {
                let standing = standing.unwrap_or_else(|| Standing::new(Footing::default()));
                let ttl = if note.ended { self.result_ttl() } else { CLAIM_TTL };
                self.leave(&note, message, standing, ttl).await;
            }
            (None, Some(mut standing)) => standing.give_back().await,
            (None, None) => {}
        }
    }

    /// Tries for as long as a result is held for. What was carried out stays claimed or marked meanwhile.
    async fn leave(&self, note: &Note, message: &Arc<Message>, mut standing: Standing, ttl: Duration) {
        let processor = self.processor();
        let (interrupt, limit) = (&processor.interrupt, processor.app.result_patience());
        // Its run is over: others need not wait for the note.
        standing.make_room();
        let mut patience = Patience::new(interrupt);
        loop {
            let noted = tokio::select! {
                biased;
                noted = standing.carried_out(processor, message, note.ended, ttl) => noted,
                () = last_moment(interrupt) => return,
            };
            let Err(error) = noted else { return };
            tracing::warn!(error = &error as &dyn std::error::Error, "that the run was carried out is not noted yet");
            if patience.elapsed() >= limit || processor.store.is_away_for(limit) {
                return;
            }
            tokio::select! {
                biased;
                // It is another worker's by now, which carries it out again.
                () = standing.lost(processor, message) => return,
                goes_on = patience.pause() => if !goes_on { return },
            }
        }
    }
}

/// A worker that has to end does not wait for a store that is away: without its ack the message would come again, although
/// what follows it is published.
async fn last_moment(interrupt: &CancellationToken) {
    interrupt.cancelled().await;
    tokio::time::sleep(LAST_TRY).await;
}
