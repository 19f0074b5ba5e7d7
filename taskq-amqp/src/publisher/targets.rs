//! Whether the queue of a delayed message exists and is reached by what is delayed: nobody would tell once it is due.

use crate::{
    error,
    link::{Link, Patience},
    runtime::Runtime,
    session::Session,
    topology,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use lapin::{ConnectionState, ErrorKind};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use taskq_core::BrokerError;

/// Queues remembered; more are checked anew.
const MAX_KNOWN: usize = 10_000;

const PAUSE: Duration = Duration::from_millis(100);

type Answer = Result<(), lapin::Error>;

type Question = Shared<BoxFuture<'static, Answer>>;

/// Queues that were seen to be ready for delayed messages, once per connection.
pub(super) struct Targets {
    link: Link,
    /// Host and port of the servers, for errors.
    servers: String,
    known: Arc<Mutex<Known>>,
}

/// What is known on one connection.
#[derive(Default)]
struct Known {
    epoch: u64,
    queues: HashSet<String>,
    /// Asked, and not answered yet. Thousands may come with the same question at once, and each question takes a channel.
    asked: HashMap<String, Question>,
}

impl Known {
    /// `None` if there is a later connection.
    fn on(&mut self, session: &Session) -> Option<&mut Self> {
        if self.epoch < session.epoch {
            *self = Known { epoch: session.epoch, ..Known::default() };
        }
        (self.epoch == session.epoch).then_some(self)
    }

    fn answered(&mut self, queue: &str, is_ready: bool) {
        self.asked.remove(queue);
        if is_ready {
            if self.queues.len() >= MAX_KNOWN {
                self.queues.clear();
            }
            self.queues.insert(queue.to_owned());
        }
    }
}

impl Targets {
    pub(super) fn new(link: Link, servers: &str) -> Targets {
        Targets { link, servers: servers.to_owned(), known: Arc::default() }
    }

    /// Whether there is nothing to ask.
    pub(super) fn knows(&self, queue: &str) -> bool {
        let Some(session) = self.link.present() else { return false };
        let known = known(&self.known);
        known.epoch == session.epoch && known.queues.contains(queue)
    }

    /// # Errors
    /// [`BrokerError::Unroutable`], or what kept us from asking in time.
    pub(super) async fn check(&self, queue: &str, deadline: Instant, runtime: &Runtime) -> Result<(), BrokerError> {
        if self.knows(queue) {
            return Ok(());
        }
        match runtime.by(deadline, self.ask(queue, runtime))?.await {
            Ok(answer) => answer,
            Err(_) => Err(self.link.overdue(&self.servers, "the delays of its queue were being declared")),
        }
    }

    async fn ask(&self, queue: &str, runtime: &Runtime) -> Result<(), BrokerError> {
        loop {
            let session = self.link.session(Patience::Endless).await?;
            let Some(question) = self.question(&session, queue, runtime)? else { continue };
            match question.await {
                Ok(()) => return Ok(()),
                Err(lost) if session.is_dead() => tracing::debug!(error = %lost, "asking about a queue again"),
                Err(refusal) => {
                    let refusal = error::of_queue(&refusal, queue, &session.address);
                    if !refusal.is_retryable() {
                        return Err(refusal);
                    }
                    // Until the deadline, which is the caller's to watch.
                    let pause = runtime.by(Instant::now() + PAUSE, std::future::pending::<()>())?;
                    let _ = pause.await;
                }
            }
        }
    }

    /// What all wait for who ask about the queue meanwhile; it goes on whether or not they look. `None` if there is a later
    /// connection.
    fn question(
        &self,
        session: &Arc<Session>,
        queue: &str,
        runtime: &Runtime,
    ) -> Result<Option<Question>, BrokerError> {
        let mut known = known(&self.known);
        let Some(known) = known.on(session) else { return Ok(None) };
        if let Some(asked) = known.asked.get(queue) {
            return Ok(Some(asked.clone()));
        }
        let asking = runtime.spawn(ask_once(self.known.clone(), session.clone(), queue.to_owned()))?;
        let closed = || Err(ErrorKind::InvalidConnectionState(ConnectionState::Closed).into());
        let asked = asking.map(move |answer| answer.unwrap_or_else(|_| closed())).boxed().shared();
        known.asked.insert(queue.to_owned(), asked.clone());
        Ok(Some(asked))
    }
}

fn known(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask_once(targets: Arc<Mutex<Known>>, session: Arc<Session>, queue: String) -> Answer {
    let answer = session.guard(topology::open_to_delays(&session, &queue)).await;
    if let Some(known) = known(&targets).on(&session) {
        known.answered(&queue, answer.is_ok());
    }
    answer
}
