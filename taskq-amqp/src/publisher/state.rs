//! What a lane knows of its channel and its messages, and what follows from it.

use super::{
    backlog::Backlog,
    finished::Finished,
    job::{Job, Outcome},
    refusals::Refusals,
    verdicts::Verdict,
    wakes::Wakes,
    window::{Decided, Window},
};
use crate::{error, session::Line, wire};
use lapin::{Channel, options::BasicPublishOptions, types::ShortString};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use taskq_core::{BrokerError, Origin};

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

/// Between two looks at a silence.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// A queue that is full refuses at once. RabbitMQ also refuses what it gave to a classic queue whose node is not heard of any
/// more, and which may have taken it. A refusal that is seen late for another reason counts as one of those.
const LATE_NACK: Duration = Duration::from_secs(1);

/// A channel that is used.
struct Open {
    channel: Arc<Channel>,
    frame_max: usize,
    /// The server reads what is sent.
    is_read: bool,
}

pub(super) struct State {
    open: Option<Open>,
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
    /// The alarm that the keeper knows of.
    known_alarm: Option<Instant>,
    /// Whether more messages may come.
    is_accepting: bool,
    /// When closing gives up on messages that are on their way.
    ends_at: Option<Instant>,
    pub(super) finished: Finished,
}

impl Default for State {
    fn default() -> Self {
        State {
            open: None,
            backlog: Backlog::default(),
            window: Window::default(),
            refusals: Refusals::default(),
            suspects: 0,
            silence: SILENCE.0,
            alarm: None,
            known_alarm: None,
            is_accepting: true,
            ends_at: None,
            finished: Finished::default(),
        }
    }
}

/// What the keeper does next.
pub(super) enum Next {
    /// Nothing until it is called, or the time has come.
    Wait(Option<Instant>),
    /// All is done, and nothing more comes.
    End,
    /// The connection is gone, and the channel with it.
    Lost,
    /// The channel died of this.
    Died(lapin::Error),
    /// A queue refuses all that this channel gives it, though it may have room.
    TryAnother,
}

/// What came of looking at the clock.
pub(super) struct Tended {
    /// Messages whose time was over, and about which the server had said nothing.
    pub(super) unanswered: usize,
    /// The server says nothing about a message for too long, or about too many: the channel is used no further.
    pub(super) is_given_up: bool,
}

impl State {
    /// Whether more depends on what the server says than the caller of that message.
    pub(super) fn is_busy(&self) -> bool {
        self.backlog.has_waiting() || self.window.has_open_verdicts() || !self.is_accepting
    }

    /// Whether there is something to do that callers do not do, now or sooner than the keeper knows.
    pub(super) fn wants_keeper(&self) -> bool {
        let is_sooner = self.alarm.is_some_and(|alarm| self.known_alarm.is_none_or(|known| alarm < known));
        is_sooner || self.window.broken().is_some() || !self.is_accepting
    }

    pub(super) fn has_work(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(super) fn accept(&mut self, job: Box<Job>) {
        if !self.is_accepting {
            return self.finish(job, Err(BrokerError::Closed));
        }
        self.wake_by(job.deadline);
        self.backlog.push(job);
    }

    fn wake_by(&mut self, moment: Instant) {
        self.alarm = Some(self.alarm.map_or(moment, |alarm| alarm.min(moment)));
    }

    /// The alarm, which the keeper knows of from now on.
    pub(super) fn alarm(&mut self) -> Option<Instant> {
        self.known_alarm = self.alarm;
        self.alarm
    }

    fn finish(&mut self, job: Box<Job>, outcome: Outcome) {
        self.finished.push(job, outcome);
    }

    /// Uses this channel from now on.
    pub(super) fn begin(&mut self, channel: Arc<Channel>, frame_max: usize) {
        self.refusals.forget();
        self.open = Some(Open { channel, frame_max, is_read: false });
    }

    /// Does what can be done with the line as it is, and says what comes next.
    pub(super) fn go_on(&mut self, wakes: &Wakes, line: &Line) -> Next {
        self.take_in(wakes);
        if *line == Line::Dead {
            self.open = None;
            let lost = self.window.drain();
            self.again(lost);
            return Next::Lost;
        }
        if let Some(open) = &mut self.open {
            open.is_read = *line == Line::Open;
        }
        self.hand_over_all(wakes);
        if let Some(error) = self.window.broken().cloned() {
            self.open = None;
            return Next::Died(error);
        }
        if *line == Line::Open && self.refusals.are_doubtful() && self.window.is_empty() {
            self.open = None;
            self.refusals.be_patient();
            return Next::TryAnother;
        }
        if self.is_done() { Next::End } else { Next::Wait(self.alarm()) }
    }

    fn is_done(&self) -> bool {
        let is_idle = self.backlog.is_empty() && self.window.is_empty();
        is_idle && !self.is_accepting || self.ends_at.is_some_and(|ends_at| Instant::now() >= ends_at)
    }

    /// Takes no more messages, and lets those that are here come to their end.
    pub(super) fn begin_end(&mut self) {
        let ends_at = Instant::now() + CLOSING;
        (self.is_accepting, self.ends_at) = (false, Some(ends_at));
        self.wake_by(ends_at);
    }

    /// Takes no more messages, and fails those that are here.
    pub(super) fn end(&mut self) {
        (self.is_accepting, self.open) = (false, None);
        self.fail_all(|_| BrokerError::Closed);
    }

    /// Hands over what there is room for.
    pub(super) fn hand_over_all(&mut self, wakes: &Wakes) {
        let Some(Open { channel, frame_max, is_read: true }) = &self.open else { return };
        if self.backlog.is_empty() || self.refusals.are_doubtful() {
            return;
        }
        let (channel, frame_max) = (channel.clone(), *frame_max);
        while self.window.broken().is_none() && (self.suspects == 0 || self.window.is_empty()) {
            let Some(job) = self.backlog.next(&self.window) else { return };
            self.hand_over(channel.clone(), frame_max, job, wakes);
        }
    }

    fn hand_over(&mut self, channel: Arc<Channel>, frame_max: usize, mut job: Box<Job>, wakes: &Wakes) {
        let properties = match wire::properties(&job.content, job.epitaph.as_deref(), &job.id) {
            Ok(properties) => properties,
            Err(error) => return self.finish(job, Err(error)),
        };
        let size = wire::size(&properties);
        if size > frame_max {
            let what = format!("labels and other headers of about {size} bytes, and the connection takes {frame_max}");
            return self.finish(job, Err(BrokerError::Unsupported { what }));
        }
        let ticks = job.ticks();
        let (exchange, key) = match ticks {
            Some(ticks) => (ShortString::from(ticks.exchange()), ShortString::try_new(ticks.routing_key(&job.queue))),
            None => (ShortString::default(), ShortString::try_new(&*job.queue)),
        };
        let Ok(key) = key else {
            let queue = job.queue.to_string();
            return self.finish(job, Err(BrokerError::Unroutable { queue }));
        };
        job.by_level = ticks.is_some();
        // Not the body, of which the first clone allocates.
        let content = job.content.clone();
        let confirming =
            async move { channel.basic_publish(exchange, key, MANDATORY, content.body(), properties).await?.await };
        job.handed_over = Instant::now();
        self.wake_by(job.handed_over + self.silence);
        self.window.insert(job, confirming, wakes);
    }

    /// Looks at what the server has said.
    pub(super) fn take_in(&mut self, wakes: &Wakes) {
        self.window.take_in(wakes);
        while let Some(decided) = self.window.next_decided() {
            self.decide(decided);
        }
    }

    fn decide(&mut self, (job, verdict): Decided) {
        self.suspects = self.suspects.saturating_sub(1);
        match verdict {
            Verdict::Confirmed => {
                self.silence = SILENCE.0;
                self.refusals.taken(&job.queue);
                self.finish(job, Ok(()));
            }
            Verdict::Returned => {
                let error = why_returned(&job);
                self.finish(job, Err(error));
            }
            Verdict::Nacked => self.nacked(job),
        }
    }

    fn nacked(&mut self, mut job: Box<Job>) {
        if job.handed_over.elapsed() >= LATE_NACK {
            job.maybe_taken();
        }
        self.refusals.refused(&job.queue);
        if job.origin == Origin::Caller && !job.by_level {
            let until = self.backlog.park(job);
            return self.wake_by(until);
        }
        let queue = job.queue.to_string();
        let error = match () {
            () if job.is_maybe_taken => BrokerError::Unconfirmed { queue },
            () if job.by_level => BrokerError::Nacked { queue },
            () => BrokerError::Full { queue },
        };
        self.finish(job, Err(error));
    }

    /// Does what time asks for: messages whose time is over get an answer, `overdue` if they were not handed over, and parked
    /// ones go on.
    pub(super) fn tend(&mut self, wakes: &Wakes, line: &Line, overdue: impl Fn(&Job) -> BrokerError) -> Tended {
        // Who was called about it may not have looked yet.
        self.take_in(wakes);
        let now = Instant::now();
        let expired = self.window.expired(|job| job.deadline <= now);
        let unanswered = expired.len();
        for job in expired {
            let queue = job.queue.to_string();
            self.finish(job, Err(BrokerError::Unconfirmed { queue }));
        }
        for job in self.backlog.tend(now) {
            let error = overdue(&job);
            self.finish(job, Err(error));
        }
        let is_given_up = self.open.is_some() && self.window.broken().is_none() && self.is_too_silent(line);
        if is_given_up {
            self.give_up();
        }
        let deadlines = self.window.jobs().map(|job| job.deadline).chain(self.backlog.deadlines());
        // While the line is not read nothing is done about a silence, which is over already.
        let silence = self.window.oldest().map(|oldest| (oldest + self.silence).max(now + LEAST_PAUSE));
        self.alarm = deadlines.chain(silence).chain(self.ends_at).min();
        Tended { unanswered, is_given_up }
    }

    fn is_too_silent(&self, line: &Line) -> bool {
        let is_silent = || self.window.oldest().is_some_and(|oldest| oldest.elapsed() >= self.silence);
        self.window.abandoned() >= MAX_ABANDONED || *line == Line::Open && is_silent()
    }

    fn give_up(&mut self) {
        tracing::warn!(messages = self.window.len(), "no confirmation for too long: using another channel");
        self.open = None;
        self.silence = (self.silence * 2).min(SILENCE.1);
        let lost = self.window.drain();
        self.again(lost);
    }

    /// What was in the channel goes again on the next one, first and in the same order. `address` is that of the server that
    /// closed the channel, unless the connection died.
    pub(super) fn channel_died(&mut self, error: &lapin::Error, address: Option<&str>) {
        let mut lost = self.window.drain();
        if let Some(address) = address {
            tracing::warn!(%error, messages = lost.len(), "the broker closed a publishing channel");
            self.suspects = lost.len();
            lost.iter_mut().for_each(|job| job.suspicions += 1);
            if let Some(job) = lost.pop_if(|job| self.suspects == 1 && job.suspicions > 1) {
                let error = error::of_queue(error, &job.queue, address);
                self.finish(job, Err(error));
            }
        }
        self.again(lost);
    }

    fn again(&mut self, mut lost: Vec<Box<Job>>) {
        lost.iter_mut().for_each(|job| job.maybe_taken());
        self.backlog.put_first(lost);
    }

    pub(super) fn fail_all(&mut self, why: impl Fn(&Job) -> BrokerError) {
        let unconfirmed = |job: &Job| BrokerError::Unconfirmed { queue: job.queue.to_string() };
        for job in self.window.drain() {
            let error = unconfirmed(&job);
            self.finish(job, Err(error));
        }
        let waiting: Vec<_> = self.backlog.drain().collect();
        for job in waiting {
            let error = if job.is_maybe_taken { unconfirmed(&job) } else { why(&job) };
            self.finish(job, Err(error));
        }
    }
}

fn why_returned(job: &Job) -> BrokerError {
    let queue = job.queue.to_string();
    match () {
        // An earlier copy of it may be in a queue that was there then.
        () if job.is_maybe_taken => BrokerError::Unconfirmed { queue },
        () if job.by_level => BrokerError::other(format!(
            "the message for queue `{queue}` found no delay queue; did somebody delete `taskq.v1.delay.*`?"
        )),
        () => BrokerError::Unroutable { queue },
    }
}
