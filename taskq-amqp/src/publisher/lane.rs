//! The owner of one publishing channel: nobody else publishes on it, so that the order of calls is the order on the wire
//! and every confirm is its own message's.

use super::{
    backlog::Backlog,
    job::Job,
    opening::{Opened, open_channel},
    refusals::Refusals,
    setup::Setup,
    verdicts::Verdict,
    window::{Decided, Window},
};
use crate::{
    error,
    session::{Line, Session},
    wire,
};
use lapin::{Channel, options::BasicPublishOptions, types::ShortString};
use std::{
    future::poll_fn,
    sync::Arc,
    time::{Duration, Instant},
};
use taskq_core::{BrokerError, Origin};
use tokio::{
    sync::mpsc,
    time::{sleep_until, timeout},
};

/// Without a queue that takes it a message is returned, not dropped.
const MANDATORY: BasicPublishOptions =
    BasicPublishOptions { mandatory: cfg!(not(taskq_bug = "no_mandatory")), immediate: false };

/// What closing waits for messages that are on their way.
const CLOSING: Duration = Duration::from_secs(5);

/// So many messages without a word from the server and without anybody waiting are let go of, with their channel.
const MAX_ABANDONED: usize = 256;

/// How long a message waits for its confirm until it goes again by another channel, at first and at most. RabbitMQ 3.10
/// never confirms what a channel has sent to a quorum queue whose leader stood still and was replaced.
const SILENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// What letting go of a silent channel may take.
const LETTING_GO: Duration = Duration::from_millis(100);

/// A queue that is full refuses at once. RabbitMQ also refuses what it gave to a classic queue whose node is not heard of any
/// more, and which may have taken it.
const LATE_NACK: Duration = Duration::from_secs(1);

pub(super) struct Lane {
    setup: Setup,
    jobs: mpsc::Receiver<Job>,
    backlog: Backlog,
    window: Window,
    refusals: Refusals,
    /// So many of the next messages were in a channel that the server closed over one of them: they go one by one, and
    /// the one that is at fault goes down alone.
    suspects: usize,
    /// How long a message waits for its confirm until the channel is given up: longer each time, until one comes.
    silence: Duration,
    /// Not later than the first moment at which something is to be done without anything having happened.
    alarm: Option<Instant>,
    /// Whether more messages may come.
    is_accepting: bool,
    /// When closing gives up on messages that are on their way.
    ends_at: Option<Instant>,
}

/// Why a channel is used no further.
enum Ending {
    /// All is done, and nothing more comes.
    Done,
    Lost,
}

impl Lane {
    pub(super) fn new(setup: Setup, jobs: mpsc::Receiver<Job>) -> Lane {
        Lane {
            setup,
            jobs,
            backlog: Backlog::default(),
            window: Window::default(),
            refusals: Refusals::default(),
            suspects: 0,
            silence: SILENCE.0,
            alarm: None,
            is_accepting: true,
            ends_at: None,
        }
    }

    pub(super) async fn run(mut self) {
        while self.has_work().await {
            let Some((session, channel)) = self.open().await else { continue };
            if let Ending::Done = self.drive(&session, &channel).await {
                break;
            }
        }
        self.fail_all(|_| BrokerError::Closed);
    }

    /// Waits for the first message. `false` when none comes any more.
    async fn has_work(&mut self) -> bool {
        if !self.backlog.is_empty() {
            return true;
        }
        let next = self.setup.closing.run_until_cancelled(self.jobs.recv()).await;
        next.flatten().map(|job| self.accept(job)).is_some()
    }

    fn accept(&mut self, job: Job) {
        self.wake_by(job.deadline);
        self.backlog.push(job);
    }

    fn wake_by(&mut self, moment: Instant) {
        self.alarm = Some(self.alarm.map_or(moment, |alarm| alarm.min(moment)));
    }

    /// Opens a channel as soon as there is a connection. Meanwhile messages come, and their time runs out; the channel is
    /// for the next ones then. `None` if there will be none.
    async fn open(&mut self) -> Option<Opened> {
        let opening = open_channel(self.setup.link.clone(), self.setup.levels.clone());
        tokio::pin!(opening);
        loop {
            let alarm = self.alarm;
            tokio::select! {
                opened = &mut opening => match opened {
                    Ok(opened) => return Some(opened),
                    Err(error) => {
                        self.fail_all(|_| error::again(&error));
                        return None;
                    }
                },
                Some(job) = self.jobs.recv() => self.accept(job),
                () = self.setup.closing.cancelled() => {
                    self.fail_all(|_| BrokerError::Closed);
                    return None;
                }
                () = sleep_until(alarm.unwrap_or_else(Instant::now).into()), if alarm.is_some() => {
                    self.tend(&Line::Dead);
                }
            }
        }
    }

    /// Publishes on this channel until it dies.
    async fn drive(&mut self, session: &Arc<Session>, channel: &Arc<Channel>) -> Ending {
        let mut line = session.line();
        let mut batch = Vec::new();
        self.refusals.forget();
        while !self.is_done() {
            let state = line.borrow_and_update().clone();
            match state {
                Line::Open if self.refusals.are_doubtful() => {
                    if self.window.is_empty() {
                        self.try_another(session, channel).await;
                        return Ending::Lost;
                    }
                }
                Line::Open => self.hand_over_all(channel, session.frame_max()),
                Line::Blocked { .. } => {}
                Line::Dead => {
                    let lost = self.window.drain();
                    self.again(lost);
                    return Ending::Lost;
                }
            }
            let alarm = self.alarm;
            tokio::select! {
                biased;
                decided = poll_fn(|cx| self.window.poll(cx)) => match decided {
                    Ok(decided) => decided.into_iter().for_each(|decided| self.decide(decided)),
                    Err(error) => {
                        self.channel_died(session, &error);
                        return Ending::Lost;
                    }
                },
                _ = line.changed() => {}
                taken = self.jobs.recv_many(&mut batch, 256), if self.is_accepting => {
                    self.is_accepting = taken > 0;
                    batch.drain(..).for_each(|job| self.accept(job));
                }
                () = self.setup.closing.cancelled(), if self.ends_at.is_none() => self.begin_end(),
                () = sleep_until(alarm.unwrap_or_else(Instant::now).into()), if alarm.is_some() => {
                    if self.tend(&state) > 0 {
                        // Not here: the other messages go on.
                        drop(tokio::spawn(session.clone().probe()));
                    }
                    if self.window.abandoned() >= MAX_ABANDONED || state == Line::Open && self.is_too_silent() {
                        self.give_up(session, channel).await;
                        return Ending::Lost;
                    }
                }
            }
        }
        Ending::Done
    }

    fn is_too_silent(&self) -> bool {
        self.window.oldest().is_some_and(|oldest| oldest.elapsed() >= self.silence)
    }

    fn begin_end(&mut self) {
        self.jobs.close();
        let ends_at = Instant::now() + CLOSING;
        self.ends_at = Some(ends_at);
        self.wake_by(ends_at);
    }

    fn is_done(&self) -> bool {
        let is_idle = self.backlog.is_empty() && self.window.is_empty();
        is_idle && !self.is_accepting || self.ends_at.is_some_and(|ends_at| Instant::now() >= ends_at)
    }

    /// Hands over what there is room for.
    fn hand_over_all(&mut self, channel: &Arc<Channel>, frame_max: usize) {
        while self.suspects == 0 || self.window.is_empty() {
            let Some(job) = self.backlog.next(&self.window) else { return };
            self.hand_over(channel.clone(), frame_max, job);
        }
    }

    fn hand_over(&mut self, channel: Arc<Channel>, frame_max: usize, mut job: Job) {
        let properties = match wire::properties(&job.content, job.epitaph.as_ref(), &job.id) {
            Ok(properties) => properties,
            Err(error) => return job.finish(Err(error)),
        };
        let size = wire::size(&properties);
        if size > frame_max {
            let what = format!("labels and other headers of about {size} bytes, and the connection takes {frame_max}");
            return job.finish(Err(BrokerError::Unsupported { what }));
        }
        let ticks = job.ticks();
        let (exchange, key) = match ticks {
            Some(ticks) => (ShortString::from(ticks.exchange()), ShortString::try_new(ticks.routing_key(&job.queue))),
            None => (ShortString::default(), ShortString::try_new(job.queue.as_str())),
        };
        let Ok(key) = key else {
            let queue = job.queue.clone();
            return job.finish(Err(BrokerError::Unroutable { queue }));
        };
        job.by_level = ticks.is_some();
        let body = job.body().clone();
        let confirming = async move { channel.basic_publish(exchange, key, MANDATORY, &body, properties).await?.await };
        job.handed_over = Instant::now();
        self.wake_by(job.handed_over + self.silence);
        self.window.insert(job, Box::pin(confirming));
    }

    fn decide(&mut self, (job, verdict): Decided) {
        self.suspects = self.suspects.saturating_sub(1);
        match verdict {
            Verdict::Confirmed => {
                self.silence = SILENCE.0;
                self.refusals.taken(&job.queue);
                job.finish(Ok(()));
            }
            Verdict::Returned => {
                let error = why_returned(&job);
                job.finish(Err(error));
            }
            Verdict::Nacked => self.nacked(job),
        }
    }

    fn nacked(&mut self, mut job: Job) {
        if job.handed_over.elapsed() >= LATE_NACK {
            job.maybe_taken();
        }
        self.refusals.refused(&job.queue);
        if job.origin == Origin::Caller && !job.by_level {
            let until = self.backlog.park(job);
            return self.wake_by(until);
        }
        let queue = job.queue.clone();
        let error = match () {
            () if job.is_maybe_taken => BrokerError::Unconfirmed { queue },
            () if job.by_level => BrokerError::Nacked { queue },
            () => BrokerError::Full { queue },
        };
        job.finish(Err(error));
    }

    /// Does what time asks for: messages whose time is over get an answer, and parked ones go on. Says how many there
    /// were about which the server had said nothing.
    fn tend(&mut self, line: &Line) -> usize {
        let now = Instant::now();
        let expired = self.window.expired(|job| job.deadline <= now);
        let unanswered = expired.len();
        for job in expired {
            let queue = job.queue.clone();
            job.finish(Err(BrokerError::Unconfirmed { queue }));
        }
        for job in self.backlog.tend(now) {
            let error = self.setup.overdue(&job, line);
            job.finish(Err(error));
        }
        let deadlines = self.window.jobs().map(|job| job.deadline).chain(self.backlog.deadlines());
        let silence = self.window.oldest().map(|oldest| oldest + self.silence);
        self.alarm = deadlines.chain(silence).chain(self.ends_at).min();
        unanswered
    }

    /// What was in the channel goes again on the next one, first and in the same order.
    fn channel_died(&mut self, session: &Session, error: &lapin::Error) {
        let mut lost = self.window.drain();
        if !session.is_dead() {
            tracing::warn!(%error, messages = lost.len(), "the broker closed a publishing channel");
            self.suspects = lost.len();
            lost.iter_mut().for_each(|job| job.suspicions += 1);
            if let Some(job) = lost.pop_if(|job| self.suspects == 1 && job.suspicions > 1) {
                let error = error::of_queue(error, &job.queue, &session.address);
                job.finish(Err(error));
            }
        }
        self.again(lost);
    }

    fn again(&mut self, mut lost: Vec<Job>) {
        lost.iter_mut().for_each(Job::maybe_taken);
        self.backlog.put_first(lost);
    }

    /// Lets go of a channel on which the server says nothing about a message for too long, or about too many.
    async fn give_up(&mut self, session: &Session, channel: &Channel) {
        tracing::warn!(messages = self.window.len(), "no confirmation for too long: using another channel");
        self.silence = (self.silence * 2).min(SILENCE.1);
        let lost = self.window.drain();
        self.again(lost);
        leave(session, channel).await;
    }

    /// Lets go of a channel by which a queue takes nothing, though it may have room.
    async fn try_another(&mut self, session: &Session, channel: &Channel) {
        tracing::debug!("a queue has refused everything for long: using another channel");
        self.refusals.be_patient();
        leave(session, channel).await;
    }

    fn fail_all(&mut self, why: impl Fn(&Job) -> BrokerError) {
        for job in self.window.drain() {
            let queue = job.queue.clone();
            job.finish(Err(BrokerError::Unconfirmed { queue }));
        }
        for job in self.backlog.drain() {
            let error =
                if job.is_maybe_taken { BrokerError::Unconfirmed { queue: job.queue.clone() } } else { why(&job) };
            job.finish(Err(error));
        }
    }
}

fn why_returned(job: &Job) -> BrokerError {
    let queue = job.queue.clone();
    match () {
        // An earlier copy of it may be in a queue that was there then.
        () if job.is_maybe_taken => BrokerError::Unconfirmed { queue },
        () if job.by_level => BrokerError::other(format!(
            "the message for queue `{queue}` found no delay queue; did somebody delete `taskq.v1.delay.*`?"
        )),
        () => BrokerError::Unroutable { queue },
    }
}

async fn leave(session: &Session, channel: &Channel) {
    // It may be a silent server that would have to answer, while messages wait here whose time runs out.
    match timeout(LETTING_GO, session.guard(channel.close(200, "another channel is used".into()))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a channel that is used no further did not close as it should"),
        Err(_) => tracing::debug!("a channel that is used no further is left to itself"),
    }
}
