//! One connection after another to the same servers: made when first wanted, and made again whenever it breaks.
//!
//! lapin's own recovery is not used: it leaves the prefetch out, and acks by tags of the connection before.

use crate::{
    address::Address,
    dial::Dialer,
    error::Failure,
    session::{Events, Line, Session},
};
use lapin::Connection;
use std::{sync::Arc, time::Duration};
use taskq_core::BrokerError;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A connection that ends sooner is one more failure: a server that takes connections and drops them is not to be stormed.
const STEADY: Duration = Duration::from_secs(1);
/// A server that refused is asked again only when somebody wants it, and not more often than this.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// An outage is logged this often.
const TOLD_AGAIN: Duration = Duration::from_secs(10);
/// What closing may take.
const CLOSING: Duration = Duration::from_secs(2);

/// What a connection is for. The first two are kept apart: at a memory alarm the server reads nothing more from a connection
/// that publishes, and acks must go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Publish,
    Consume,
    /// Now and then, to look for messages that had nowhere to go.
    Sweep,
}

impl Role {
    pub(crate) fn short_name(self) -> &'static str {
        match self {
            Role::Publish => "pub",
            Role::Consume => "con",
            Role::Sweep => "swp",
        }
    }
}

#[derive(Clone)]
enum Phase {
    /// Nobody has wanted a connection yet.
    Idle,
    Down(Option<Failure>),
    Refused(Failure),
    Up(Arc<Session>),
    Closed,
}

#[derive(Clone)]
struct Status {
    phase: Phase,
    /// Rounds over all servers that ended without a connection.
    failed: u64,
}

/// How long a caller waits for a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// Until all servers were tried and this much time has passed.
    AtLeast(Duration),
    /// For ever, unless the servers refuse.
    Endless,
}

/// The sessions of one role. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    role: Role,
    status: watch::Sender<Status>,
    wanted: Notify,
    closing: CancellationToken,
    dials: TaskTracker,
}

impl Link {
    /// A link that [`Link::keep_up`] must serve. `dials` is where its attempts run.
    pub(crate) fn new(role: Role, dials: TaskTracker) -> Link {
        let status = watch::Sender::new(Status { phase: Phase::Idle, failed: 0 });
        Link(Arc::new(Inner { role, status, wanted: Notify::new(), closing: CancellationToken::new(), dials }))
    }

    /// The present session, or the next one.
    ///
    /// # Errors
    /// [`BrokerError::Denied`], [`BrokerError::Closed`], or what patience ended with.
    pub(crate) async fn session(&self, patience: Patience) -> Result<Arc<Session>, BrokerError> {
        let mut status = self.0.status.subscribe();
        let before = status.borrow().failed;
        self.0.wanted.notify_one();
        let since = Instant::now();
        loop {
            let now = status.borrow_and_update().clone();
            let has_failed = now.failed > before;
            let may_end = match patience {
                Patience::AtLeast(time) => has_failed.then_some(since + time),
                Patience::Endless => None,
            };
            match now.phase {
                Phase::Up(session) if !session.is_dead() => return Ok(session),
                Phase::Closed => return Err(BrokerError::Closed),
                Phase::Refused(failure) if has_failed => return Err(failure.into()),
                Phase::Down(Some(failure)) if may_end.is_some_and(|end| end <= Instant::now()) => {
                    return Err(failure.into());
                }
                _ => {}
            }
            let end = sleep_until(may_end.unwrap_or(since));
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return Err(BrokerError::Closed) },
                () = end, if may_end.is_some_and(|end| end > Instant::now()) => {}
            }
        }
    }

    /// The present session, if there is one.
    pub(crate) fn present(&self) -> Option<Arc<Session>> {
        match &self.0.status.borrow().phase {
            Phase::Up(session) if !session.is_dead() => Some(session.clone()),
            _ => None,
        }
    }

    /// Why there is no session.
    pub(crate) fn failure(&self) -> Option<BrokerError> {
        match &self.0.status.borrow().phase {
            Phase::Down(Some(failure)) | Phase::Refused(failure) => Some(failure.clone().into()),
            Phase::Closed => Some(BrokerError::Closed),
            _ => None,
        }
    }

    /// Why a message was not even handed over in time, when that time ended while `doing`. `servers` are host and port of
    /// all of them.
    pub(crate) fn overdue(&self, servers: &str, doing: &str) -> BrokerError {
        let Some(session) = self.present() else {
            let source = Some("no connection was there in time".into());
            return self.failure().unwrap_or(BrokerError::Unreachable { address: servers.to_owned(), source });
        };
        match &*session.line().borrow() {
            Line::Blocked { reason } => BrokerError::Blocked { reason: reason.clone() },
            _ => BrokerError::other(format!(
                "the time for the message ended while {doing} at {}; try again, or give it more time with `.within(..)`",
                session.address
            )),
        }
    }

    /// Closes the present session and makes no other. Resolves when that is done.
    pub(crate) async fn close(&self) {
        self.0.closing.cancel();
        let mut status = self.0.status.subscribe();
        // The supervisor may be gone, and the connection with it.
        let _ = timeout(CLOSING, status.wait_for(|status| matches!(status.phase, Phase::Closed))).await;
    }

    /// Serves the link until it is closed.
    pub(crate) async fn keep_up(self, addresses: Vec<Address>, connection_name: String) {
        let supervisor =
            Supervisor { link: self.clone(), addresses, connection_name, epoch: 0, failures: 0, told: None };
        let closing = self.0.closing.clone();
        closing.run_until_cancelled(supervisor.run()).await;
        if let Some(session) = self.present() {
            let _ = timeout(CLOSING, session.close()).await;
        }
        self.enter(Phase::Closed);
    }

    fn enter(&self, phase: Phase) {
        self.0.status.send_modify(|status| {
            status.failed += u64::from(matches!(phase, Phase::Down(Some(_)) | Phase::Refused(_)));
            status.phase = phase;
        });
    }
}

/// Makes the connections of one link.
struct Supervisor {
    link: Link,
    addresses: Vec<Address>,
    connection_name: String,
    epoch: u64,
    /// Rounds that failed, and connections that did not hold, since one held.
    failures: u32,
    /// When that was last logged.
    told: Option<Instant>,
}

impl Supervisor {
    async fn run(mut self) {
        self.link.0.wanted.notified().await;
        let dialers = match self.dialers() {
            Ok(dialers) => dialers,
            Err(failure) => return self.link.enter(Phase::Refused(failure)),
        };
        loop {
            let began = Instant::now();
            match self.round(&dialers).await {
                Ok((session, events)) => {
                    let made = Instant::now();
                    self.link.enter(Phase::Up(session.clone()));
                    let again = if session.epoch > 1 { " again" } else { "" };
                    let connection = self.connection_name.as_str();
                    tracing::info!(address = session.address, connection, "connected to the broker{again}");
                    match self.link.0.role {
                        Role::Publish | Role::Sweep => session.watch(events).await,
                        Role::Consume => tokio::select! {
                            () = session.watch(events) => {}
                            never = session.keep_asking() => match never {},
                        },
                    }
                    self.lost(&session, made.elapsed()).await;
                }
                Err(failure @ Failure::Refused { .. }) => {
                    tracing::error!(connection = self.connection_name, "{failure}");
                    self.link.enter(Phase::Refused(failure));
                    sleep_until(began + AFTER_REFUSAL).await;
                    self.link.0.wanted.notified().await;
                }
                Err(failure) => self.fail(failure).await,
            }
        }
    }

    async fn lost(&mut self, session: &Session, held: Duration) {
        let address = session.address.clone();
        if held >= STEADY {
            tracing::warn!(address, connection = self.connection_name, "lost the connection to the broker");
            (self.failures, self.told) = (0, None);
            return self.link.enter(Phase::Down(None));
        }
        let reason = "it let the connection be made and ended it at once".into();
        self.fail(Failure::Unreachable { address, reason }).await;
    }

    async fn fail(&mut self, failure: Failure) {
        self.tell(&failure);
        self.link.enter(Phase::Down(Some(failure)));
        sleep(self.pause()).await;
    }

    /// Says why there is no connection: at first, and every few seconds of an outage. There are many attempts.
    fn tell(&mut self, failure: &Failure) {
        let connection = self.connection_name.as_str();
        match self.told {
            Some(told) if told.elapsed() < TOLD_AGAIN => tracing::debug!(connection, "{failure}; trying again"),
            _ => {
                tracing::warn!(connection, "{failure}; trying again until it can be reached");
                self.told = Some(Instant::now());
            }
        }
    }

    fn dialers(&self) -> Result<Vec<Arc<Dialer>>, Failure> {
        let dialer = |address: &Address| match self.link.0.role {
            Role::Publish => Dialer::pooled(address.clone(), self.connection_name.clone()).map(Arc::new),
            Role::Consume | Role::Sweep => Ok(Arc::new(Dialer::direct(address.clone(), self.connection_name.clone()))),
        };
        self.addresses.iter().map(dialer).collect()
    }

    /// One attempt at each server, in random order, until one succeeds. A refusal counts more than a server that is down.
    async fn round(&mut self, dialers: &[Arc<Dialer>]) -> Result<(Arc<Session>, Events), Failure> {
        let mut order: Vec<&Arc<Dialer>> = dialers.iter().collect();
        fastrand::shuffle(&mut order);
        let mut worst = None;
        for dialer in order {
            match self.dial(dialer.clone()).await {
                Ok((connection, events)) => {
                    self.epoch += 1;
                    let session = Session::new(self.epoch, dialer.address().shown(), connection);
                    return Ok((Arc::new(session), events));
                }
                Err(failure) if matches!(worst, Some(Failure::Refused { .. })) => {
                    tracing::debug!("{failure}");
                }
                Err(failure) => worst = Some(failure),
            }
        }
        Err(worst.unwrap_or(Failure::Unreachable { address: String::new(), reason: "no address is given".into() }))
    }

    /// Runs to its end even if nobody waits for it any more: lapin's own thread panics when the runtime that it connects
    /// on goes away.
    async fn dial(&self, dialer: Arc<Dialer>) -> Result<(Connection, Events), Failure> {
        let address = dialer.address().shown();
        let dial = self.link.0.dials.spawn(async move { dialer.dial().await });
        dial.await.unwrap_or_else(|error| Err(Failure::Unreachable { address, reason: error.to_string() }))
    }

    /// Twice as long after each failure, with full jitter, so that clients of a server that came back do not come at once.
    fn pause(&mut self) -> Duration {
        let longest = SHORTEST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures += 1;
        longest.mul_f64(fastrand::f64())
    }
}
