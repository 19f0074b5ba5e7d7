//! What all runs of a worker share, and what a delivery comes to.

use super::{
    alarms::Alarms,
    arrival::Arrival,
    begin::Ready,
    doubt::Doubt,
    ending::Endings,
    logging::span_of,
    plan::QueuePlan,
    quarantine::Quarantine,
    run::Run,
    running::{Running, Seat},
    settle::{Settling, Subject},
    standing::Standing,
    store::StoreWatch,
};
use crate::{
    BoxFuture,
    app::App,
    clock::UnixMillis,
    context::Place,
    delivery::{Delivery, Unsettled},
    message::{Content, Foreign, Message},
    queue::QueueSpec,
    retry::{Refusal, decide_refusal},
    status::Step,
    task::TaskDef,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long noting a step may hold a run up.
const NOTE_LIMIT: Duration = Duration::from_millis(250);

/// Clocks that are no further apart are waited for: nothing runs before its time by the clock of its worker.
const CLOCKS_APART: Duration = Duration::from_secs(1);

/// What all runs of a worker share.
pub(super) struct Processor {
    pub(super) app: App,
    pub(super) task_timeout: Duration,
    pub(super) running: Running,
    pub(super) store: StoreWatch,
    /// For ends that are stored together, where the store takes them so.
    pub(super) endings: Option<Endings>,
    /// One permit in all: for a run that may end its process.
    pub(super) suspects: Arc<Semaphore>,
    /// For one that has one more chance.
    pub(super) quarantine: Arc<Quarantine>,
    /// One permit per plain `fn` that may run at once.
    pub(super) blocking: Arc<Semaphore>,
    /// For runs that wait.
    pub(super) alarms: Alarms,
    /// Ends runs and patience alike, when the worker must end.
    pub(super) interrupt: CancellationToken,
    pub(super) name: Arc<str>,
}

/// Where deliveries come from, and by whom they are processed.
pub(super) struct Source {
    pub(super) processor: Arc<Processor>,
    pub(super) place: Arc<Place>,
    pub(super) spec: QueueSpec,
    /// One permit per task that may run at once.
    pub(super) slots: Semaphore,
}

impl Source {
    pub(super) fn new(processor: Arc<Processor>, queue: &QueuePlan) -> Self {
        let place = Place { app: processor.app.clone(), queue: queue.spec.name().into() };
        let slots = Semaphore::new(queue.concurrency.min(Semaphore::MAX_PERMITS));
        Source { processor, place: Arc::new(place), spec: queue.spec.clone(), slots }
    }

    pub(super) fn queue(&self) -> &str {
        &self.place.queue
    }
}

/// When a run began and ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunSpan {
    pub(super) began: UnixMillis,
    pub(super) ended: UnixMillis,
}

impl RunSpan {
    /// That of a task which does not run, as of now.
    pub(super) fn none() -> Self {
        let now = UnixMillis::now();
        RunSpan { began: now, ended: now }
    }
}

/// What is to be done next about a delivery.
pub(super) enum Next {
    /// Nothing: it is settled, or somebody sees to it.
    Nothing,
    /// It may run.
    Run(Run),
    /// Something has to be waited for.
    Wait(BoxFuture<'static, ()>),
}

/// What has to be waited for before a delivery is settled, if anything.
pub(super) type Rest = Option<BoxFuture<'static, ()>>;

impl From<Rest> for Next {
    fn from(rest: Rest) -> Self {
        rest.map_or(Next::Nothing, Next::Wait)
    }
}

impl Source {
    /// What a delivery comes to.
    pub(super) fn receive(self: &Arc<Self>, ready: Ready) -> Next {
        let Ready { delivery, footing, slot } = ready;
        let Delivery { content, redelivered, is_due, unsettled, .. } = delivery;
        let message = match content {
            Content::Task(message) => message,
            Content::Foreign(foreign) => return self.refuse_foreign(foreign, unsettled),
        };
        let def = self.processor.app.task(&message.task).cloned();
        let message = prepared(message, is_due, def.as_deref());
        let Some(seat) = Seat::take(self, &message, unsettled) else {
            tracing::debug!(task.id = %message.id, "came again while it runs here: settled together");
            return Next::Nothing;
        };
        let (doubt, span) = (Doubt::about(&message, redelivered), span_of(&message, self.queue()));
        Arrival { message, doubt, standing: Standing::new(footing), seat, slot, span }.admit(def)
    }

    fn refuse_foreign(self: &Arc<Self>, foreign: Arc<Foreign>, unsettled: Unsettled) -> Next {
        let verdict = decide_refusal(Refusal::Undecodable(foreign.reason.clone()), None, UnixMillis::now());
        let (subject, seat) = (Subject::Foreign(foreign), Seat::unnamed(self, unsettled));
        Settling::not_run(subject, seat).carry_out(verdict, None).into()
    }
}

impl Processor {
    /// Notes a step. A note may be lost: the result is what counts.
    pub(super) async fn track(&self, message: &Message, step: Step) {
        let Some(results) = self.app.results() else { return };
        match timeout(NOTE_LIMIT, results.track(&message.id, step, self.app.result_ttl())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, ?step, "a step was not noted"),
            Err(_) => tracing::warn!(?step, "a step was not noted: the result store takes too long"),
        }
    }
}

/// The message as this worker understands it.
fn prepared(mut message: Arc<Message>, is_due: bool, def: Option<&TaskDef>) -> Arc<Message> {
    if is_due {
        message = due_by_now(message);
    }
    let Some(def) = def else { return message };
    // The worker's own attribute counts too: a sender may know no more than the task's name.
    if message.retry < def.config.retry {
        Arc::make_mut(&mut message).retry = def.config.retry;
    }
    // One text for all messages of the task.
    if let Some(message) = Arc::get_mut(&mut message) {
        message.task = def.name.into();
    }
    message
}

/// The broker has kept the delay: what is left of it by the sender's clock is how far that one is ahead.
fn due_by_now(mut message: Arc<Message>) -> Arc<Message> {
    if let Some(eta) = message.eta {
        let now = UnixMillis::now();
        if now.until(eta) > CLOCKS_APART {
            Arc::make_mut(&mut message).eta = Some(now);
        }
    }
    message
}
