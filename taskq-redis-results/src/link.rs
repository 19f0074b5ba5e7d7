//! The one connection for commands: made when it is needed, shared by all, made again when it breaks.

use crate::{
    address::Address,
    connection::{CONNECT_LIMIT, Connection},
    trouble::Trouble,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{FromRedisValue, Pipeline};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a command that someone waits for may take in all, reconnects included.
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(5);
/// The longest pause before the first, and before any further try to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

type Attempt = Shared<BoxFuture<'static, Result<Connection, Trouble>>>;

/// Answers commands over one multiplexed connection. Must be used inside the runtime that is to own the connection.
pub(crate) struct Link {
    address: Address,
    slot: Arc<Mutex<Slot>>,
}

#[derive(Default)]
struct Slot {
    /// Counts attempts, so that a late report about an old connection does not break the new one.
    epoch: u64,
    /// Connections in a row that broke before they had answered anything.
    failures: u32,
    attempt: Option<Attempt>,
}

impl Link {
    pub(crate) fn new(address: Address) -> Self {
        Link { address, slot: Arc::default() }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The replies to `commands`, which may be sent more than once: all of them must bear it. Without a limit it goes
    /// on until the server is there.
    ///
    /// # Errors
    /// [`Trouble::Away`] at the limit, and at once what another try would not mend.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        limit: Option<Duration>,
    ) -> Result<T, Trouble> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut last = Trouble::no_answer();
        loop {
            let asking = self.ask_once(commands);
            let answer = match deadline {
                None => asking.await,
                Some(deadline) => match timeout_at(deadline, asking).await {
                    Ok(answer) => answer,
                    Err(_) => return Err(last),
                },
            };
            match answer {
                Err(trouble @ Trouble::Away(_)) => last = trouble,
                answer => return answer,
            }
        }
    }

    /// The same by one try.
    pub(crate) async fn ask_once<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Trouble> {
        let (epoch, attempt) = self.attempt();
        let answer = query(attempt.clone(), commands).await;
        // A user who was not let in may be later; one command that is forbidden breaks nothing.
        let is_broken = matches!(answer, Err(Trouble::Away(_))) || attempt.peek().is_some_and(Result::is_err);
        if is_broken {
            self.broke(epoch)
        } else {
            self.worked(epoch)
        }
        answer
    }

    /// Drops the connection; the next command makes a new one.
    pub(crate) fn disconnect(&self) {
        slot(&self.slot).attempt = None;
    }

    fn broke(&self, epoch: u64) {
        let mut slot = slot(&self.slot);
        if slot.epoch == epoch && slot.attempt.take().is_some() {
            slot.failures = slot.failures.saturating_add(1);
        }
    }

    /// Only an answer shows that a server is of use: one that lets us in may still refuse whatever it is asked.
    fn worked(&self, epoch: u64) {
        let mut slot = slot(&self.slot);
        if slot.epoch == epoch && std::mem::take(&mut slot.failures) > 0 {
            tracing::info!(address = %self.address, "the result store answers again");
        }
    }

    fn attempt(&self) -> (u64, Attempt) {
        let mut slot = slot(&self.slot);
        if let Some(attempt) = &slot.attempt {
            return (slot.epoch, attempt.clone());
        }
        slot.epoch += 1;
        let connecting = connect_after(slot.failures, self.address.clone());
        // A task of its own: it goes on when the command that asked for it is given up.
        let attempt = tokio::spawn(connecting).map(|done| done.unwrap_or_else(|_| Err(Trouble::closed())));
        let attempt = attempt.boxed().shared();
        slot.attempt = Some(attempt.clone());
        (slot.epoch, attempt)
    }
}

fn slot(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait before the next try: at random, so that processes do not come back all at once.
pub(crate) fn pause(failures: u32) -> Duration {
    let (first, longest) = PAUSES;
    match failures {
        0 => Duration::ZERO,
        n => first.saturating_mul(1 << (n - 1).min(16)).min(longest).mul_f64(fastrand::f64()),
    }
}

async fn query<T: FromRedisValue>(attempt: Attempt, commands: &Pipeline) -> Result<T, Trouble> {
    let mut connection = attempt.await?;
    Ok(commands.query_async(&mut connection).await?)
}

async fn connect_after(failures: u32, address: Address) -> Result<Connection, Trouble> {
    sleep(pause(failures)).await;
    let connected =
        timeout(CONNECT_LIMIT, Connection::open(&address)).await.unwrap_or_else(|_| Err(Trouble::no_answer()));
    match &connected {
        Ok(_) => tracing::debug!(%address, "connected to the result store"),
        // Once per outage, not once per try.
        Err(trouble) if failures == 1 => {
            tracing::warn!(%address, error = %trouble, "the result store is away; trying again");
        }
        Err(trouble) => tracing::debug!(%address, error = %trouble, "the result store is still away"),
    }
    connected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_its_longest_and_no_further() {
        assert_eq!(pause(0), Duration::ZERO);
        for failures in [1, 2, 5, 6, 40, u32::MAX] {
            let longest = (0..200).map(|_| pause(failures)).max().unwrap();
            assert!(longest <= PAUSES.1, "{longest:?}");
            assert!(failures > 1 || longest <= PAUSES.0, "{longest:?}");
            assert!(longest > PAUSES.0 / 2, "{longest:?}");
        }
    }
}
