//! Ends that nothing follows, which is what nearly all runs come to. They are handed over here and stored together, and the
//! runs themselves are over: none of them is woken again for its record.

use super::{flow::Flow, lull::Lull, settle::Settling, standing::Footing, store::Stored};
use crate::{
    delivery::{Settle, Settlement, flush},
    error::ResultError,
    id::TaskId,
    panic,
    record::ResultRecord,
    results::ResultBackend,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::sleep,
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tracing::{Instrument, Span};

/// So many records are stored together at most.
const TOGETHER: usize = 256;

/// Lets more come while ends come in a steady flow. As short as tokio's timers are: one millisecond to two, and longer where the
/// runtime's threads are busy.
const PAUSE: Duration = Duration::from_micros(1);

/// A record and how long it is kept.
pub(super) type Keep = (TaskId, ResultRecord, Duration);

/// Where runs hand their ends over.
pub(super) struct Endings {
    sender: UnboundedSender<(Ending, Keep)>,
    runs: TaskTracker,
    lull: Lull,
}

impl Endings {
    /// Ends when the last run has, and all that was handed over is settled or on its way. What is handed over counts among
    /// `runs`.
    pub(super) fn new(results: Arc<dyn ResultBackend>, runs: TaskTracker, flow: Flow) -> Endings {
        let (sender, endings) = mpsc::unbounded_channel();
        let lull = Lull::new();
        drop(tokio::spawn(store_all(results, endings, lull.clone(), flow)));
        Endings { sender, runs, lull }
    }

    /// In which nobody is woken for deliveries, since ends are being stored, or more are to come before the next are.
    pub(super) fn lull(&self) -> &Lull {
        &self.lull
    }

    /// `settling` is settled once `keep` is.
    pub(super) fn hand_over(&self, settling: Settling, footing: Footing, keep: Keep) {
        let ending = Ending { settling, footing, span: Span::current(), counted: self.runs.token() };
        // Where nobody takes it any more it goes back, as all does that is dropped.
        let _ = self.sender.send((ending, keep));
    }
}

struct Ending {
    settling: Settling,
    footing: Footing,
    span: Span,
    counted: TaskTrackerToken,
}

async fn store_all(
    results: Arc<dyn ResultBackend>,
    mut endings: UnboundedReceiver<(Ending, Keep)>,
    lull: Lull,
    mut flow: Flow,
) {
    let mut handed_over = Vec::with_capacity(TOGETHER);
    while endings.recv_many(&mut handed_over, TOGETHER).await > 0 {
        let lasting = lull.begin();
        let stored = handed_over.len();
        store_together(&*results, handed_over.drain(..)).await;
        let was_soon = lasting.note_stored();
        let has_come = lasting.holds_any() || !endings.is_empty();
        if flow.is_steady(stored, has_come) && was_soon {
            sleep(PAUSE).await;
        }
        drop(lasting);
    }
}

async fn store_together(results: &dyn ResultBackend, handed_over: impl Iterator<Item = (Ending, Keep)>) {
    let (group, records): (Vec<Ending>, Vec<Keep>) = handed_over.unzip();
    let outcomes = match group.first() {
        // Each has its own patience with it.
        Some(first) if first.settling.processor().store.is_away() => Vec::new(),
        // A backend of somebody's own may panic; whoever comes next still finds this task here.
        _ => panic::catch_async(results.store_many(&records)).await.unwrap_or_else(|panic| {
            tracing::error!(%panic, "the result store panicked; each result is stored by itself");
            Vec::new()
        }),
    };
    let (settlers, mut outcomes) = (settlers_of(&group), outcomes.into_iter());
    // Whoever waits for these runs waits for their word to the broker too.
    let _until_told = group.first().map(|first| first.counted.clone());
    for (ending, (_, record, _)) in group.into_iter().zip(records) {
        ending.settle(record, outcomes.next());
    }
    settlers.iter().for_each(|settler| flush(&**settler));
}

/// What these are settled with, each of them once.
fn settlers_of(group: &[Ending]) -> Vec<Arc<dyn Settle>> {
    let mut settlers: Vec<&Arc<dyn Settle>> =
        group.iter().filter_map(|ending| ending.settling.seat.settler()).collect();
    settlers.sort_unstable_by_key(|settler| Arc::as_ptr(settler).cast::<()>());
    settlers.dedup_by(|one, other| Arc::ptr_eq(one, other));
    settlers.into_iter().cloned().collect()
}

impl Ending {
    /// By the answer of the store; `None` if it was not asked.
    fn settle(self, record: ResultRecord, outcome: Option<Result<Option<ResultRecord>, ResultError>>) {
        let Ending { settling, footing, span, counted } = self;
        let stored = outcome.map_or(Stored::NotYet, |outcome| span.in_scope(|| settling.processor().stored(outcome)));
        if let Stored::Kept = stored {
            return settling.tell(Settlement::Ack);
        }
        let settling = async move {
            settling.carry_out_stored(Box::new(record), stored, footing).await;
            drop(counted);
        };
        drop(tokio::spawn(settling.instrument(span)));
    }
}
