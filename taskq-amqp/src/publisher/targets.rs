//! Whether the queue of a delayed message exists and is reached by what is delayed: nobody would tell once it is due.

use crate::{
    error,
    link::{Link, Patience},
    runtime::Runtime,
    session::Session,
    topology,
};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use taskq_core::BrokerError;

/// Queues remembered; more are checked anew.
const MAX_KNOWN: usize = 10_000;

const PAUSE: Duration = Duration::from_millis(100);

/// Queues that were seen to be ready for delayed messages, once per connection.
pub(super) struct Targets {
    link: Link,
    /// Host and port of the servers, for errors.
    servers: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    epoch: u64,
    queues: HashSet<String>,
}

impl Targets {
    pub(super) fn new(link: Link, servers: &str) -> Targets {
        Targets { link, servers: servers.to_owned(), known: Mutex::default() }
    }

    /// Whether there is nothing to ask.
    pub(super) fn knows(&self, queue: &str) -> bool {
        self.link.present().is_some_and(|session| self.is_known(&session, queue))
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
            match session.guard(self.ask_once(&session, queue)).await {
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

    /// Ask under [`Session::guard`].
    async fn ask_once(&self, session: &Session, queue: &str) -> Result<(), lapin::Error> {
        let turn = session.turn().await;
        // Thousands may have come with the same question, and those before may have the answer.
        if !self.is_known(session, queue) {
            topology::open_to_delays(&turn, queue).await?;
            self.remember(session, queue);
        }
        Ok(())
    }

    fn is_known(&self, session: &Session, queue: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.epoch == session.epoch && known.queues.contains(queue)
    }

    fn remember(&self, session: &Session, queue: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch != session.epoch || known.queues.len() >= MAX_KNOWN {
            *known = Known { epoch: session.epoch, queues: HashSet::new() };
        }
        known.queues.insert(queue.to_owned());
    }
}
