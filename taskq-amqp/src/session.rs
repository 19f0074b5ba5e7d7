//! One connection from its handshake to its end. A session has a number, and nothing of one session is used in another.

use crate::hearing::Hearing;
use futures_util::{Stream, StreamExt};
use lapin::{
    Channel, Connection, ConnectionState, ErrorKind, Event, options::BasicQosOptions, protocol::AMQPErrorKind,
};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep, timeout},
};

/// For a question that the server answers at once if it reads at all.
const ANSWER: Duration = Duration::from_secs(10);

/// Between questions by which it is seen how the line is.
const QUESTIONS: Duration = Duration::from_secs(1);

/// Questions that are asked at once on one connection, each on a channel of its own, at most.
const MAX_TURNS: u16 = 16;

/// And no more than one for so many channels that the connection may have: 2,047 as RabbitMQ comes.
const CHANNELS_PER_TURN: u16 = 4;

/// What lapin says about a connection. Asked for once per connection: two listeners would share the events.
pub(crate) type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// How a connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Open,
    /// The server reads nothing more from it at present.
    Blocked {
        reason: String,
    },
    Dead,
}

/// A connection that has been made.
pub(crate) struct Session {
    /// The number of the connection among those of its link.
    pub(crate) epoch: u64,
    /// Host and port, without secrets.
    pub(crate) address: String,
    connection: Connection,
    line: watch::Sender<Line>,
    turns: Semaphore,
    is_probed: AtomicBool,
    hearing: Hearing,
}

impl Session {
    pub(crate) fn new(epoch: u64, address: String, connection: Connection) -> Session {
        let channels = connection.configuration().channel_max();
        let turns = (channels / CHANNELS_PER_TURN).clamp(1, MAX_TURNS);
        Session {
            epoch,
            address,
            connection,
            line: watch::Sender::new(Line::Open),
            turns: Semaphore::new(turns.into()),
            is_probed: AtomicBool::new(false),
            hearing: Hearing::new(),
        }
    }

    pub(crate) fn line(&self) -> watch::Receiver<Line> {
        self.line.subscribe()
    }

    pub(crate) fn is_dead(&self) -> bool {
        let status = self.connection.status();
        let is_gone = if cfg!(taskq_bug = "auto_recovery") { status.closed() } else { !status.connected() };
        *self.line.borrow() == Line::Dead || is_gone
    }

    /// The largest frame that both sides agreed on, in bytes. One that is larger ends the connection.
    pub(crate) fn frame_max(&self) -> usize {
        usize::try_from(self.connection.configuration().frame_max()).unwrap_or(usize::MAX)
    }

    /// Opens a channel. Ask for it under [`Session::guard`].
    ///
    /// Once it has come round to the number of a channel that the server has closed, lapin 4.12 gives the error of that
    /// one, and never uses the number again: there is another channel to be had then, until all numbers are used up.
    pub(crate) async fn channel(&self) -> Result<Channel, lapin::Error> {
        loop {
            match self.connection.create_channel().await {
                Err(error) if is_stale(&error) && !self.is_dead() => {}
                Err(error) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => {
                    tracing::warn!(address = self.address, "no channel is left: using another connection");
                    self.line.send_replace(Line::Dead);
                    return Err(error);
                }
                opened => return opened,
            }
        }
    }

    /// Opens a channel for a question when it is its turn, which lasts as long as what comes with the channel: so that many who
    /// want to know something at once leave channels for all else. Whoever has a turn must not wait for another one, and must
    /// go on by itself: on taskq's runtime.
    pub(crate) async fn channel_in_turn(&self) -> Result<(Option<SemaphorePermit<'_>>, Channel), lapin::Error> {
        // Nobody closes them.
        let turn = self.turns.acquire().await.ok();
        Ok((turn, self.channel().await?))
    }

    /// What `asking` gives, or that the connection has died: lapin leaves some questions that were asked of a dying
    /// connection without an answer for ever.
    pub(crate) async fn guard<T>(
        &self,
        asking: impl Future<Output = Result<T, lapin::Error>>,
    ) -> Result<T, lapin::Error> {
        tokio::select! {
            biased;
            answer = asking => answer,
            () = self.died() => Err(ErrorKind::InvalidConnectionState(ConnectionState::Error).into()),
        }
    }

    /// Resolves when the connection is dead.
    pub(crate) async fn died(&self) {
        // The sender is ours.
        let _ = self.line().wait_for(|line| *line == Line::Dead).await;
    }

    /// Asks the server something, and takes the connection for dead if there is no answer.
    ///
    /// Heartbeats do not show it: RabbitMQ 3.10 sends them on a connection that it never reads from again, which is what
    /// comes of deleting a quorum queue while a channel waits for 32 or more confirms of it.
    pub(crate) async fn probe(self: Arc<Self>) {
        if self.is_probed.swap(true, Ordering::AcqRel) {
            return;
        }
        match timeout(ANSWER, self.guard(self.channel())).await {
            Ok(Ok(channel)) => drop(self.guard(channel.close(200, "done".into())).await),
            Ok(Err(error)) => tracing::debug!(address = self.address, %error, "the broker answers with an error"),
            // One that is blocked is not read from either, and will be.
            Err(_) if *self.line.borrow() == Line::Open => {
                tracing::warn!(address = self.address, "the broker does not answer: using another connection");
                self.line.send_replace(Line::Dead);
            }
            Err(_) => {}
        }
        self.is_probed.store(false, Ordering::Release);
    }

    /// What comes now was sent by the server after this instant: it is behind the answer to a question that was asked then.
    pub(crate) fn heard(&self) -> Instant {
        self.hearing.since()
    }

    /// Resolves when the server answers the next time, which it is asked to do every second. Cancel safe.
    pub(crate) async fn answered(&self) {
        self.hearing.next_answer().await;
    }

    /// Asks the server something again and again: by its answers it is known how long what comes may have waited on the line.
    pub(crate) async fn keep_asking(&self) -> Infallible {
        loop {
            let asked = Instant::now();
            match self.guard(self.channel()).await {
                Ok(channel) => {
                    self.hearing.answered(asked);
                    self.ask_on(&channel).await;
                }
                Err(error) => {
                    tracing::debug!(address = self.address, %error, "the broker is not asked how the line is")
                }
            }
            sleep(QUESTIONS).await;
        }
    }

    async fn ask_on(&self, channel: &Channel) {
        loop {
            sleep(QUESTIONS).await;
            let asked = Instant::now();
            // Sets what is set already: nothing else costs the server as little.
            if let Err(error) = self.guard(channel.basic_qos(0, BasicQosOptions::default())).await {
                tracing::debug!(address = self.address, %error, "the broker does not say how the line is");
                return;
            }
            self.hearing.answered(asked);
        }
    }

    /// Passes on what happens to the connection, until it is dead.
    pub(crate) async fn watch(&self, mut events: Events) {
        // What happened before there was a listener is seen by the connection's state alone.
        while !self.is_dead() {
            let event = tokio::select! {
                event = events.next() => event,
                () = self.died() => break,
            };
            match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(address = self.address, reason, "the broker takes no messages at present");
                    self.line.send_replace(Line::Blocked { reason });
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!(address = self.address, "the broker takes messages again");
                    self.line.send_replace(Line::Open);
                }
                // An error of one channel comes by here too and leaves the connection as it is.
                Some(_) => {}
                None => break,
            }
        }
        self.line.send_replace(Line::Dead);
    }

    pub(crate) async fn close(&self) {
        if let Err(error) = self.connection.close(200, "closed".into()).await {
            tracing::debug!(address = self.address, %error, "the connection did not close as it should");
        }
        self.line.send_replace(Line::Dead);
    }
}

/// Whether it tells of a channel, not of the connection: opening one has no such error of its own.
fn is_stale(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if matches!(error.kind(), AMQPErrorKind::Soft(_)))
}
