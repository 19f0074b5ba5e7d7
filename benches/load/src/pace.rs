//! When tasks are to be published, whatever becomes of those before: a caller who waits for a slow server measures less of
//! its slowness.

use crate::{amounts::WARM_UP, clock};
use std::{thread, time::Duration};
use tokio::sync::mpsc;

/// Tasks come in groups, at even intervals of this many nanoseconds: with a wake-up for each, what is measured is mostly how
/// overloaded two cores are.
const INTERVAL: f64 = 1e6;

/// So many tasks, spread evenly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) per_second: f64,
    pub(crate) tasks: u64,
    /// Every so manieth result is waited for.
    pub(crate) waited_for: u64,
}

impl Schedule {
    /// The number of each task with the moment that it was due at, told as soon as that has come, by a thread of its own:
    /// tokio's timers are too coarse.
    pub(crate) fn start(self) -> mpsc::UnboundedReceiver<(u64, u64)> {
        let (told, due) = mpsc::unbounded_channel();
        let began = clock::now();
        thread::spawn(move || {
            for number in 0..self.tasks {
                let after = number as f64 / self.per_second * 1e9;
                let moment = began + ((after.round() / INTERVAL).ceil() * INTERVAL) as u64;
                let now = clock::now();
                if moment > now {
                    thread::sleep(Duration::from_nanos(moment - now));
                }
                if told.send((number, moment)).is_err() {
                    return;
                }
            }
        });
        due
    }

    /// None is while both sides still begin.
    pub(crate) fn is_waited_for(&self, number: u64) -> bool {
        number as f64 >= self.per_second * WARM_UP.as_secs_f64() && number.is_multiple_of(self.waited_for)
    }
}
