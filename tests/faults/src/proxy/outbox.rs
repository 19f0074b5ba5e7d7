//! What waits to be passed on.

use super::{Line, trap::Trap};
use std::{collections::VecDeque, io, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::tcp::WriteHalf,
    time::{Instant, sleep_until},
};

/// So much may wait; a slow line then slows its sender down, as networks do.
const ROOM: usize = 4 << 20;

/// A throttled line passes something so many times a second.
const PORTIONS: u64 = 20;

#[derive(Debug)]
pub(super) struct Outbox {
    queue: VecDeque<Chunk>,
    size: usize,
    /// When a throttled line may go on.
    next: Instant,
    /// How much more may pass.
    budget: Option<u64>,
}

#[derive(Debug)]
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
    written: usize,
    trap: Option<Arc<Trap>>,
}

/// What has been passed on.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) bytes: usize,
    /// Waits for a reply from now on: its request is on its way.
    pub(super) trap: Option<Arc<Trap>>,
}

impl Outbox {
    pub(super) fn new() -> Outbox {
        Outbox { queue: VecDeque::new(), size: 0, next: Instant::now(), budget: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.size < ROOM
    }

    pub(super) fn limit(&mut self, budget: u64) {
        self.budget = Some(budget);
    }

    pub(super) fn is_spent(&self) -> bool {
        self.budget == Some(0)
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.size = 0;
    }

    pub(super) fn push(&mut self, bytes: Vec<u8>, line: Line, trap: Option<Arc<Trap>>) {
        if bytes.is_empty() {
            return;
        }
        let delay = if let Line::Delay(delay) = line { delay } else { Duration::ZERO };
        self.size += bytes.len();
        self.queue.push_back(Chunk { due: Instant::now() + delay, bytes, written: 0, trap });
    }

    /// Passes on what is due next. Nothing is lost when this future is dropped.
    pub(super) async fn write(&mut self, to: &mut WriteHalf<'_>, line: Line) -> io::Result<Written> {
        let Some(front) = self.queue.front_mut() else { return Ok(Written { bytes: 0, trap: None }) };
        let rate = if let Line::Throttle(rate) = line { Some(rate.max(1)) } else { None };
        sleep_until(if rate.is_some() { front.due.max(self.next) } else { front.due }).await;
        let portion = rate.map_or(u64::MAX, |rate| (rate / PORTIONS).max(1)).min(self.budget.unwrap_or(u64::MAX));
        let left = &front.bytes[front.written..];
        let portion = left.len().min(usize::try_from(portion).unwrap_or(usize::MAX));
        let bytes = to.write(&left[..portion]).await?;
        if let Some(rate) = rate {
            self.next = Instant::now() + Duration::from_secs(bytes as u64) / u32::try_from(rate).unwrap_or(u32::MAX);
        }
        if let Some(budget) = &mut self.budget {
            *budget -= bytes as u64;
        }
        self.size -= bytes;
        front.written += bytes;
        let is_whole = front.written == front.bytes.len();
        let trap = if is_whole { self.queue.pop_front().and_then(|chunk| chunk.trap) } else { None };
        Ok(Written { bytes, trap })
    }
}
