//! One delivery, from its coming to its settlement.

use super::{
    admit::Admission,
    doubt::Doubt,
    ending::Endings,
    quarantine::Quarantine,
    running::{Running, Seat},
    settle::{Settling, Subject},
    slot::Slot,
    standing::{Footing, Standing},
    store::StoreWatch,
};
use crate::{
    app::App,
    claims::RunId,
    clock::{Moment, UnixMillis},
    context::TaskContext,
    defaults::START_LIMIT,
    delivery::{Delivery, Unsettled},
    message::{Content, Foreign, Message},
    observer::Event,
    outcome::{Outcome, Verdict},
    panic,
    queue::QueueSpec,
    retry::{Refusal, decide, decide_refusal},
    status::Step,
    task::{Ack, Exec, TaskConfig, TaskDef},
    trace::TraceContext,
};
use futures_util::FutureExt;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

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
    /// Ends runs and patience alike, when the worker must end.
    pub(super) interrupt: CancellationToken,
    pub(super) name: Arc<str>,
    /// The owner of a bid that nobody has made yet.
    pub(super) nobody: Arc<str>,
}

/// Where deliveries come from.
pub(super) struct Source {
    pub(super) queue: Arc<str>,
    pub(super) spec: QueueSpec,
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

/// One message of a task in the worker's hands.
pub(super) struct Arrival {
    pub(super) message: Arc<Message>,
    pub(super) doubt: Doubt,
    pub(super) footing: Footing,
}

impl Processor {
    /// What is to be done about a delivery; `None` if a run that goes on here takes care of it.
    pub(super) fn process(
        self: Arc<Self>,
        source: Arc<Source>,
        delivery: Delivery,
        footing: Footing,
        slot: Slot,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let Delivery { content, redelivered, received, is_due, unsettled, .. } = delivery;
        let message = match content {
            Content::Task(message) if is_due => due_by_now(message),
            Content::Task(message) => message,
            Content::Foreign(foreign) => {
                return Some(self.refuse_foreign(source, foreign, unsettled).boxed().left_future());
            }
        };
        let Some(seat) = self.running.enter(RunId::of(&message), unsettled) else {
            tracing::debug!(task.id = %message.id, "came again while it runs here: settled together");
            return None;
        };
        let doubt = Doubt::about(&message, redelivered);
        let span = span_of(&message, &source.queue);
        let arrival = Arrival { message, doubt, footing };
        let by = received + START_LIMIT;
        Some(self.process_task(source, arrival, by, seat, slot).instrument(span).right_future())
    }

    async fn refuse_foreign(self: Arc<Self>, source: Arc<Source>, foreign: Arc<Foreign>, unsettled: Unsettled) {
        let verdict = decide_refusal(Refusal::Undecodable(foreign.reason.clone()), None, UnixMillis::now());
        let settling = Settling::not_run(&self, &source, Subject::Foreign(foreign), Seat::unnamed(unsettled));
        settling.carry_out(verdict, None).await;
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps what it was given beside what it makes of it, and there may be tens of thousands of these"
    )]
    fn process_task(
        self: Arc<Self>,
        source: Arc<Source>,
        arrival: Arrival,
        by: Instant,
        mut seat: Seat,
        mut slot: Slot,
    ) -> impl Future<Output = ()> + Send {
        async move {
            // Nothing is awaited in here while a refusal is at hand, which would be room that all runs take.
            let carrying_out = 'decided: {
                let (message, def, mut standing) = match self.admit(arrival, &mut slot, by).await {
                    Admission::Run(message, def, standing) => (message, def, standing),
                    Admission::Refuse(message, def, refusal) => {
                        slot.release();
                        let verdict = decide_refusal(refusal, Some(&message), UnixMillis::now());
                        let settling = Settling::not_run(&self, &source, Subject::Task(message, def), seat);
                        break 'decided settling.carry_out(verdict, None);
                    }
                };
                let (verdict, run) =
                    match self.context_to_begin(&message, def, &source, &mut standing, &mut slot, by).await {
                        Some(ctx) => {
                            if def.config.ack == Ack::OnReceive {
                                seat.ack_first();
                            }
                            self.run(def, &ctx, &source, &mut standing).await
                        }
                        None => (Verdict::GiveBack, RunSpan::none()),
                    };
                slot.release();
                // An outcome that comes late must not overwrite what another worker makes of the same run.
                let is_ours = verdict == Verdict::GiveBack || standing.is_safe() || Box::pin(standing.holds()).await;
                let verdict = if is_ours { verdict } else { Verdict::GiveBack };
                let settling = Settling::new(&self, &source, Subject::Task(message, Some(def)), seat, run);
                settling.carry_out(verdict, Some(standing))
            };
            carrying_out.await;
        }
    }

    /// The context of a run that may begin now.
    async fn context_to_begin(
        &self,
        message: &Arc<Message>,
        def: &TaskDef,
        source: &Source,
        standing: &mut Standing<'_>,
        slot: &mut Slot,
        by: Instant,
    ) -> Option<TaskContext> {
        let ctx = self.context(message.clone(), def, source, by).await?;
        if message.track {
            Box::pin(self.track(message, Step::Running)).await;
        }
        // What has waited for nothing was admitted at this very moment.
        if !(message.track || def.config.exec == Exec::Blocking || standing.is_looked_up()) {
            return Some(ctx);
        }
        Box::pin(self.may_begin(message, def, standing, slot, by)).await.then_some(ctx)
    }

    /// The limit of one run.
    pub(super) fn limit_of(&self, config: &TaskConfig) -> Duration {
        config.timeout.unwrap_or(self.task_timeout)
    }

    /// The run's context, with a slot for a plain `fn`; `None` if there was no such slot in time.
    async fn context(&self, message: Arc<Message>, def: &TaskDef, source: &Source, by: Instant) -> Option<TaskContext> {
        let slot = match def.config.exec {
            Exec::Async => None,
            Exec::Blocking => Some(Box::pin(self.blocking_slot(by)).await?),
        };
        Some(TaskContext::new(self.app.clone(), message, source.queue.clone(), slot))
    }

    async fn blocking_slot(&self, by: Instant) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            slot = self.blocking.clone().acquire_owned() => slot.ok(),
            () = tokio::time::sleep_until(by) => None,
            () = self.interrupt.cancelled() => None,
        }
    }

    async fn run(
        &self,
        def: &TaskDef,
        ctx: &TaskContext,
        source: &Source,
        standing: &mut Standing<'_>,
    ) -> (Verdict, RunSpan) {
        tracing::debug!("task started");
        if self.app.is_observed() {
            self.app.observe(&Event::Started { message: ctx.message(), queue: &source.queue });
        }
        let began = Moment::now();
        // Middleware before its first await, destructors of a run that is stopped, and errors that are shown are code of
        // the user too. A panic that came as far as here would run the task again at once, and without end.
        let outcome =
            panic::catch_async(self.execute(def, ctx, standing, began.instant)).await.unwrap_or_else(Outcome::Panicked);
        let (took, message) = (began.instant.elapsed(), ctx.message());
        let decide = |outcome: &Outcome| decide(outcome, message, &def.config, fastrand::f64());
        let verdict = panic::catch(|| decide(&outcome)).unwrap_or_else(|panic| decide(&Outcome::Panicked(panic)));
        log(&outcome, &verdict, took);
        if self.app.is_observed() {
            let queue = &source.queue;
            self.app.observe(&Event::Finished { message, queue, outcome: &outcome, verdict: &verdict, took });
        }
        (verdict, RunSpan { began: began.wall, ended: began.wall.after(took) })
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

fn span_of(message: &Message, queue: &str) -> tracing::Span {
    tracing::info_span!(
        "task",
        task.id = %message.id,
        task.name = %message.task,
        queue,
        attempt = message.attempt,
        trace_id = message.traceparent.as_deref().and_then(TraceContext::parse).map(|trace| trace.trace_id()),
    )
}

/// One line per run, at the level that fits.
fn log(outcome: &Outcome, verdict: &Verdict, took: Duration) {
    match verdict {
        Verdict::Finish(crate::End::Done(_)) => tracing::info!(?took, "task done"),
        Verdict::Finish(crate::End::Discarded(failure)) => tracing::warn!(?took, error = %failure, "task discarded"),
        Verdict::Retry { delay, failure } => {
            tracing::warn!(?took, error = %failure, retry_in = ?delay, "task failed; it will run again");
        }
        Verdict::DeadLetter(failure) => tracing::error!(?took, error = %failure, "task failed for good"),
        Verdict::GiveBack => tracing::info!(?took, "task interrupted; it is given back"),
        Verdict::Finish(_) | Verdict::Wait { .. } | Verdict::Repeat(_) | Verdict::Forget => {
            tracing::debug!(?took, ?outcome, "task ended")
        }
    }
}
