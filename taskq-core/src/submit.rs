//! Messages on their way to the broker: checked, led through the send middleware, published and confirmed.

use crate::{
    BoxFuture,
    app::App,
    broker::{Origin, Publish},
    clock::{UnixMillis, after, bounded, from_now},
    error::{BrokerError, KiqError, WorkerError},
    handle::TaskHandle,
    message::{Content, Message, check_labels},
    middleware::{SendMiddleware, SendNext},
    observer::Event,
    queue::{QueueSpec, check_name},
    status::Step,
    task::Task,
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// A broker keeps the limit by itself, and knows better than we what became of the message.
const GRACE: Duration = Duration::from_millis(250);

/// What middleware gets beyond that, to pass on what the broker said.
const ONION_GRACE: Duration = Duration::from_millis(500);

/// What is published, where and how.
pub(crate) struct Submission {
    pub(crate) app: App,
    pub(crate) message: Arc<Message>,
    pub(crate) queue: Arc<str>,
    pub(crate) within: Duration,
    pub(crate) origin: Origin,
}

impl Submission {
    pub(crate) fn into_handle<T: Task>(self) -> TaskHandle<T::Output> {
        TaskHandle::new(self.app, self.message.id.clone(), T::CONFIG.store_result)
    }

    /// Whether everything that the call asks for can be had.
    pub(crate) fn check(&self) -> Result<(), KiqError> {
        self.check_message(&self.message)
    }

    /// The same for what middleware has made of the message.
    fn check_message(&self, message: &Message) -> Result<(), KiqError> {
        let app = &self.app;
        let task = || message.task.clone().into_owned();
        let invalid = |option, reason| Err(KiqError::Invalid { task: task(), option, reason });
        let unsupported = |what: String| Err(KiqError::Unsupported { task: task(), what });
        if let Err(reason) = message.id.check() {
            return invalid("task_id", format!("{:?} {reason}", message.id));
        }
        if let Err(reason) = check_labels(&message.labels) {
            return invalid("label", reason);
        }
        if let Err(reason) = app.check_task_name(&message.task) {
            return invalid("name", reason);
        }
        if app.queue_spec(&self.queue).is_none()
            && let Err(reason) = check_name(&self.queue)
        {
            return invalid("queue", format!("{:?} {reason}", self.queue));
        }
        if let (Some(eta), Some(expires)) = (message.eta, message.expires)
            && expires <= eta
        {
            let after = |moment| humantime::format_duration(message.created.until(moment));
            let reason = format!(
                "it would expire after {}, and is not to be run before {} have passed: both count from now",
                after(expires),
                after(eta)
            );
            return invalid("expires", reason);
        }
        if message.check && app.results().is_none() {
            return unsupported("an id of its own (`task_id`), which needs a result backend".into());
        }
        if self.message.eta.is_some() && !app.broker().capabilities().delay {
            return unsupported("a delay, which this broker does not have".into());
        }
        let Some(priority) = message.priority else { return Ok(()) };
        match app.queue_spec(&self.queue).and_then(QueueSpec::highest_priority) {
            Some(highest) if priority <= highest => Ok(()),
            Some(highest) => {
                invalid("priority", format!("{priority} is above {highest}, the highest of queue `{}`", self.queue))
            }
            None => unsupported(format!(
                "priority {priority}, but queue `{0}` has no priorities; declare it with `QueueSpec::new(\"{0}\").priorities(10)`",
                self.queue
            )),
        }
    }

    /// Starts the app if need be, runs the onion, publishes; all of it within the limit.
    pub(crate) async fn send(&self) -> Result<(), KiqError> {
        let (app, mut deadline, mut left) = (&self.app, from_now(self.within), self.within);
        if !app.has_started() {
            Box::pin(self.start(deadline)).await?;
            left = until(deadline);
            // Starting may have held the thread for longer.
            deadline = from_now(left);
        }
        if let Some(reason) = app.unready(&self.message.task) {
            let what = format!("a parameter that this app cannot give: {reason}");
            return Err(KiqError::Unsupported { task: self.message.task.to_string(), what });
        }
        app.run_embedded();
        match app.send_middleware() {
            [] => self.publish(&self.message, left, deadline).await?,
            onion => Box::pin(self.run_onion(onion, deadline)).await?,
        }
        if self.message.track {
            Box::pin(self.note_queued(deadline)).await;
        }
        Ok(())
    }

    async fn start(&self, deadline: Instant) -> Result<(), KiqError> {
        let Message { task, id, .. } = &*self.message;
        match timeout_at(deadline, self.app.started()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(WorkerError::Broker(error))) => Err(KiqError::from_broker(task, id, error)),
            Ok(Err(error)) => Err(KiqError::Startup { task: task.to_string(), source: error.into() }),
            Err(_) => {
                let (within, awaited) = (self.within, self.app.awaited());
                let text = format!("the app did not start within {within:?}: {awaited} does not answer");
                Err(KiqError::Broker { task: task.to_string(), source: BrokerError::other(text) })
            }
        }
    }

    async fn run_onion(&self, onion: &[Arc<dyn SendMiddleware>], deadline: Instant) -> Result<(), KiqError> {
        let publish = |message: Message| -> BoxFuture<'_, _> {
            Box::pin(async move {
                self.check_onion(&message)?;
                let left = until(deadline);
                self.publish(&Arc::new(message), left, from_now(left)).await
            })
        };
        let sending = SendNext::new(onion, &publish).run(Message::clone(&self.message));
        // A middleware may hang, before the message was sent or after.
        timeout_at(deadline + ONION_GRACE, sending).await.unwrap_or_else(|_| Err(self.unknown()))
    }

    /// Send middleware may have changed what was checked before; the id is the handle's, and stays.
    fn check_onion(&self, message: &Message) -> Result<(), KiqError> {
        let id = &self.message.id;
        if message.id != *id {
            let reason = format!("a send middleware made it {:?}; the handle waits for {id:?}", message.id);
            return Err(KiqError::Invalid { task: message.task.to_string(), option: "task_id", reason });
        }
        self.check_message(message)
    }

    /// `deadline` is that of `within`.
    async fn publish(&self, message: &Arc<Message>, within: Duration, deadline: Instant) -> Result<(), KiqError> {
        let publish = self.publish_of(message, within);
        match timeout_at(deadline + GRACE, self.app.broker().publish(publish)).await {
            Ok(published) => self.published(message, published),
            Err(_) => Err(self.unknown()),
        }
    }

    fn publish_of(&self, message: &Arc<Message>, within: Duration) -> Publish {
        // What is left of the delay, so that time spent in start-up and middleware does not add to it.
        let delay = message.eta.map(|eta| UnixMillis::now().until(eta));
        let content = Content::Task(message.clone());
        Publish::to(self.queue.clone(), content).delay(delay).within(bounded(within)).origin(self.origin)
    }

    /// Tells those who want to know, by the broker's answer.
    fn published(&self, message: &Message, answer: Result<(), BrokerError>) -> Result<(), KiqError> {
        let Message { task, id, .. } = message;
        answer.map_err(|error| KiqError::from_broker(task, id, error))?;
        tracing::debug!(task.id = %id, task.name = %task, queue = &*self.queue, "task submitted");
        if self.app.is_observed() {
            self.app.observe(&Event::Published { message, queue: &self.queue });
        }
        Ok(())
    }

    pub(crate) fn unknown(&self) -> KiqError {
        KiqError::Unknown { task: self.message.task.to_string(), id: self.message.id.clone().maybe_sent() }
    }

    /// Notes that the task is queued, if that can be done in time: it is sent, whatever becomes of the note.
    async fn note_queued(&self, deadline: Instant) {
        let (id, Some(results)) = (&self.message.id, self.app.results()) else { return };
        match timeout_at(deadline, results.track(id, Step::Queued, self.app.result_ttl())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(task.id = %id, error = &error as &dyn std::error::Error, "the step `queued` was not noted");
            }
            Err(_) => tracing::warn!(task.id = %id, "the step `queued` was not noted in time"),
        }
    }
}

/// What is left of a limit.
fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Sends submissions of one app, by one call of its broker where nothing has to be done about each of them.
pub(crate) async fn send_all(app: &App, submissions: &[&Submission]) -> Vec<Result<(), KiqError>> {
    let is_ready = |submission: &&Submission| app.unready(&submission.message.task).is_none();
    if !app.has_started() || !app.send_middleware().is_empty() || !submissions.iter().all(is_ready) {
        return join_all(submissions.iter().map(|submission| submission.send())).await;
    }
    app.run_embedded();
    let now = Instant::now();
    let due: Vec<(&Submission, Instant)> =
        submissions.iter().map(|submission| (*submission, after(now, submission.within))).collect();
    let publishes = submissions.iter().map(|submission| submission.publish_of(&submission.message, submission.within));
    let publishing = app.broker().publish_many(publishes.collect());
    let last = due.iter().map(|(_, deadline)| *deadline).max().unwrap_or(now);
    let mut answers = timeout_at(last + GRACE, publishing).await.unwrap_or_default().into_iter();
    let outcome = |(submission, _): &(&Submission, Instant)| match answers.next() {
        Some(answer) => submission.published(&submission.message, answer),
        // The broker has not said in time what became of it, or has forgotten to.
        None => Err(submission.unknown()),
    };
    let outcomes: Vec<_> = due.iter().map(outcome).collect();
    let sent = due.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(due, _)| due);
    let tracked = sent.filter(|(submission, _)| submission.message.track);
    join_all(tracked.map(|(submission, deadline)| submission.note_queued(*deadline))).await;
    outcomes
}
