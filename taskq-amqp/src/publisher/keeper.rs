//! Who keeps a lane: opens its channels, watches the connection and the clock, and ends it.

use super::{
    lane::Lane,
    opening::{Opened, open_channel},
    setup::Setup,
    state::{Next, Tended},
};
use crate::{
    error,
    session::{Line, Session},
};
use lapin::Channel;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use taskq_core::BrokerError;
use tokio::time::{sleep_until, timeout};

/// What letting go of a silent channel may take.
const LETTING_GO: Duration = Duration::from_millis(100);

pub(super) struct Keeper {
    setup: Setup,
    lane: Arc<Lane>,
}

/// Why a channel is used no further.
enum Ending {
    /// All is done, and nothing more comes.
    Done,
    Lost,
}

impl Keeper {
    pub(super) fn new(setup: Setup, lane: Arc<Lane>) -> Keeper {
        Keeper { setup, lane }
    }

    pub(super) async fn run(self) {
        while self.has_work().await {
            let Some((session, channel)) = self.open().await else { continue };
            if let Ending::Done = self.drive(&session, &channel).await {
                break;
            }
        }
    }

    /// Waits for the first message. `false` when none comes any more.
    async fn has_work(&self) -> bool {
        while !self.lane.with(|state, _| state.has_work()) {
            if self.setup.closing.run_until_cancelled(self.lane.wakes().called()).await.is_none() {
                return false;
            }
        }
        true
    }

    /// Opens a channel as soon as there is a connection. Meanwhile messages come, and their time runs out; the channel is
    /// for the next ones then. `None` if there will be none.
    async fn open(&self) -> Option<Opened> {
        let opening = open_channel(self.setup.link.clone(), self.setup.levels.clone());
        tokio::pin!(opening);
        loop {
            let alarm = self.lane.with(|state, _| state.alarm());
            tokio::select! {
                opened = &mut opening => match opened {
                    Ok(opened) => return Some(opened),
                    Err(error) => {
                        self.lane.with(|state, _| state.fail_all(|_| error::again(&error)));
                        return None;
                    }
                },
                () = self.lane.wakes().called() => {}
                () = self.setup.closing.cancelled() => {
                    self.lane.with(|state, _| state.fail_all(|_| BrokerError::Closed));
                    return None;
                }
                () = moment(alarm), if alarm.is_some() => drop(self.tend(&Line::Dead)),
            }
        }
    }

    /// Has messages published on this channel until it dies.
    async fn drive(&self, session: &Arc<Session>, channel: &Arc<Channel>) -> Ending {
        let mut line = session.line();
        let mut is_ending = false;
        self.lane.with(|state, _| state.begin(channel.clone(), session.frame_max()));
        loop {
            let now = line.borrow_and_update().clone();
            let alarm = match self.lane.with(|state, wakes| state.go_on(wakes, &now)) {
                Next::Wait(alarm) => alarm,
                Next::End => return Ending::Done,
                Next::Lost => return Ending::Lost,
                Next::Died(error) => {
                    let address = (!session.is_dead()).then_some(session.address.as_str());
                    self.lane.with(|state, _| state.channel_died(&error, address));
                    return Ending::Lost;
                }
                Next::TryAnother => {
                    tracing::debug!("a queue has refused everything for long: using another channel");
                    leave(session, channel).await;
                    return Ending::Lost;
                }
            };
            tokio::select! {
                biased;
                () = self.setup.closing.cancelled(), if !is_ending => {
                    is_ending = true;
                    self.lane.with(|state, _| state.begin_end());
                }
                () = moment(alarm), if alarm.is_some() => {
                    let Tended { unanswered, is_given_up } = self.tend(&now);
                    if unanswered > 0 {
                        // Not here: the other messages go on.
                        drop(tokio::spawn(session.clone().probe()));
                    }
                    if is_given_up {
                        leave(session, channel).await;
                        return Ending::Lost;
                    }
                }
                _ = line.changed() => {}
                // The last one: there may be one at all times.
                () = self.lane.wakes().called() => {}
            }
        }
    }

    fn tend(&self, line: &Line) -> Tended {
        self.lane.with(|state, wakes| state.tend(wakes, line, |job| self.setup.overdue(job, line)))
    }
}

impl Drop for Keeper {
    /// Nobody waits for a lane that is kept no more, however that came.
    fn drop(&mut self) {
        self.lane.with(|state, _| state.end());
    }
}

async fn moment(alarm: Option<Instant>) {
    sleep_until(alarm.unwrap_or_else(Instant::now).into()).await;
}

async fn leave(session: &Session, channel: &Channel) {
    // It may be a silent server that would have to answer, while messages wait here whose time runs out.
    match timeout(LETTING_GO, session.guard(channel.close(200, "another channel is used".into()))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a channel that is used no further did not close as it should"),
        Err(_) => tracing::debug!("a channel that is used no further is left to itself"),
    }
}
