//! Ends that nothing follows, which is what nearly all runs come to. They are handed over here and stored together, and the
//! runs themselves are over: none of them is woken again for its record.

use super::{
    process::{Processor, RunSpan, Source},
    running::Seat,
    settle::{Settling, Subject},
    standing::{Footing, Standing},
    store::Stored,
};
use crate::{
    delivery::Settlement, error::ResultError, id::TaskId, message::Message, panic, record::ResultRecord,
    results::ResultBackend,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tracing::{Instrument, Span};

/// So many records are stored together at most.
const TOGETHER: usize = 256;

/// A record and how long it is kept.
pub(super) type Keep = (TaskId, ResultRecord, Duration);

/// Where runs hand their ends over.
pub(super) struct Endings {
    sender: UnboundedSender<(Ending, Keep)>,
    runs: TaskTracker,
}

impl Endings {
    /// Ends when the last run has, and all that was handed over is settled or on its way. What is handed over counts among
    /// `runs`.
    pub(super) fn new(results: Arc<dyn ResultBackend>, runs: TaskTracker) -> Endings {
        let (sender, endings) = mpsc::unbounded_channel();
        drop(tokio::spawn(store_all(results, endings)));
        Endings { sender, runs }
    }

    pub(super) fn hand_over(&self, settled: ToSettle, keep: Keep) {
        let ending = Ending { settled, span: Span::current(), counted: self.runs.token() };
        // Where nobody takes it any more it goes back, as all does that is dropped.
        let _ = self.sender.send((ending, keep));
    }
}

/// What is settled once a record is kept, and the footing of the run that it is of.
pub(super) struct ToSettle {
    pub(super) processor: Arc<Processor>,
    pub(super) source: Arc<Source>,
    pub(super) message: Arc<Message>,
    pub(super) seat: Seat,
    pub(super) run: RunSpan,
    pub(super) footing: Footing,
}

struct Ending {
    settled: ToSettle,
    span: Span,
    counted: TaskTrackerToken,
}

async fn store_all(results: Arc<dyn ResultBackend>, mut endings: UnboundedReceiver<(Ending, Keep)>) {
    let mut handed_over = Vec::with_capacity(TOGETHER);
    while endings.recv_many(&mut handed_over, TOGETHER).await > 0 {
        let (group, records): (Vec<Ending>, Vec<Keep>) = handed_over.drain(..).unzip();
        let outcomes = match group.first() {
            // Each has its own patience with it.
            Some(first) if first.settled.processor.store.is_away() => Vec::new(),
            // A backend of somebody's own may panic; whoever comes next still finds this task here.
            _ => panic::catch_async(results.store_many(&records)).await.unwrap_or_else(|panic| {
                tracing::error!(%panic, "the result store panicked; each result is stored by itself");
                Vec::new()
            }),
        };
        let mut outcomes = outcomes.into_iter();
        for (ending, (_, record, _)) in group.into_iter().zip(records) {
            ending.settle(record, outcomes.next());
        }
    }
}

impl Ending {
    /// By the answer of the store; `None` if it was not asked.
    fn settle(self, record: ResultRecord, outcome: Option<Result<Option<ResultRecord>, ResultError>>) {
        let processor = &self.settled.processor;
        let stored = outcome.map_or(Stored::NotYet, |outcome| self.span.in_scope(|| processor.stored(outcome)));
        match stored {
            Stored::Kept => {
                let ToSettle { processor, source, message, seat, run, .. } = self.settled;
                let subject = Subject::Task(message, None);
                let settling = Settling::new(&processor, &source, subject, seat, run);
                settling.tell(Settlement::Ack);
            }
            stored => {
                let (span, counted) = (self.span, self.counted);
                let settling = async move {
                    self.settled.settle_at_length(record, stored).await;
                    drop(counted);
                };
                drop(tokio::spawn(settling.instrument(span)));
            }
        }
    }
}

impl ToSettle {
    async fn settle_at_length(self, record: ResultRecord, stored: Stored) {
        let ToSettle { processor, source, message, seat, run, footing } = self;
        let standing = Standing::new(&processor, &message, footing);
        let def = processor.app.task(&message.task);
        let subject = Subject::Task(message, def);
        let settling = Settling::new(&processor, &source, subject, seat, run);
        settling.carry_out_stored(Box::new(record), stored, standing).await;
    }
}
