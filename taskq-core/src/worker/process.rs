//! What all runs of a worker share, and what a delivery comes to.

use super::{
    alarms::Alarms,
    arrival::Arrival,
    begin::Ready,
    doubt::Doubt,
    ending::Endings,
    logging::RunTrace,
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
    pub(super) running: Arc<Running>,
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

/// Where deliveries come from.
pub(super) struct Source {
    pub(super) queue: Arc<str>,
    pub(super) spec: QueueSpec,
    /// One permit per task that may run at once.
    pub(super) slots: Arc<Semaphore>,
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

impl Processor {
    /// What a delivery comes to.
    pub(super) fn receive(self: &Arc<Self>, source: &Arc<Source>, ready: Ready) -> Next {
        let Ready { delivery, footing, slot } = ready;
        let Delivery { content, redelivered, is_due, unsettled, .. } = delivery;
        let message = match content {
            Content::Task(message) => message,
            Content::Foreign(foreign) => return self.refuse_foreign(source, foreign, unsettled),
        };
        let def = self.app.task(&message.task).cloned();
        let message = prepared(message, is_due, def.as_deref());
        let Some(seat) = self.running.enter(&message, unsettled) else {
            tracing::debug!(task.id = %message.id, "came again while it runs here: settled together");
            return Next::Nothing;
        };
        let (doubt, trace) = (Doubt::about(&message, redelivered), RunTrace::of(&message, &source.queue));
        let (processor, source, standing) = (self.clone(), source.clone(), Standing::new(footing));
        Arrival { processor, source, message, doubt, standing, seat, slot, trace }.admit(def)
    }

    fn refuse_foreign(self: &Arc<Self>, source: &Arc<Source>, foreign: Arc<Foreign>, unsettled: Unsettled) -> Next {
        let verdict = decide_refusal(Refusal::Undecodable(foreign.reason.clone()), None, UnixMillis::now());
        let (subject, seat) = (Subject::Foreign(foreign), Seat::unnamed(unsettled));
        Settling::not_run(self.clone(), source.clone(), subject, seat).carry_out(verdict, None).into()
    }

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
