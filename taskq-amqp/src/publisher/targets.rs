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
    asked: HashMap<String, Shared<BoxFuture<'static, Answer>>>,
}

impl Known {
    fn of(&mut self, session: &Session) -> &mut Self {
        if self.epoch != session.epoch {
            *self = Known { epoch: session.epoch, ..Known::default() };
        }
        self
    }

    /// Unless there is another connection by now.
    fn answered(&mut self, session: &Session, queue: &str, is_ready: bool) {
        if self.epoch != session.epoch {
            return;
        }
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
            match self.question(&session, queue, runtime)?.await {
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

    /// The answer that all get who ask about the queue meanwhile. It is on its way whether or not they look.
    fn question(
        &self,
        session: &Arc<Session>,
        queue: &str,
        runtime: &Runtime,
    ) -> Result<impl Future<Output = Answer> + use<>, BrokerError> {
        let mut known = known(&self.known);
        let known = known.of(session);
        if let Some(asked) = known.asked.get(queue) {
            return Ok(asked.clone());
        }
        let asking = runtime.spawn(ask_once(self.known.clone(), session.clone(), queue.to_owned()))?;
        let closed = || Err(ErrorKind::InvalidConnectionState(ConnectionState::Closed).into());
        let asked = asking.map(move |answer| answer.unwrap_or_else(|_| closed())).boxed().shared();
        known.asked.insert(queue.to_owned(), asked.clone());
        Ok(asked)
    }
}

fn known(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask_once(targets: Arc<Mutex<Known>>, session: Arc<Session>, queue: String) -> Answer {
    let answer = session.guard(topology::open_to_delays(&session, &queue)).await;
    known(&targets).answered(&session, &queue, answer.is_ok());
    answer
}
