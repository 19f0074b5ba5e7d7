//! How long a failed task waits for its next run.

use std::time::Duration;

/// The rule for the time between runs. The delay that it gives is drawn uniformly from its upper half, so that tasks
/// that failed together do not come back together.
///
/// ```
/// use std::time::Duration;
/// use taskq::Backoff;
///
/// let rule = Backoff::exp(Duration::from_secs(1)).max(Duration::from_secs(60));
/// assert_eq!(rule.delay(1), Duration::from_secs(1));
/// assert_eq!(rule.delay(4), Duration::from_secs(8));
/// assert_eq!(rule.delay(99), Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff(Rule);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    Exp { base: Duration, factor: f64, max: Duration },
    Fixed(Duration),
    List(&'static [Duration]),
}

/// The longest delay of the default rule.
const DEFAULT_MAX: Duration = Duration::from_secs(3600);

impl Backoff {
    /// `exp(1s, x2, max = 1h)`.
    pub const DEFAULT: Backoff = Backoff::exp(Duration::from_secs(1));

    /// Grows from `base` by a factor of 2, up to one hour.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::Backoff;
    /// let rule = Backoff::exp(Duration::from_millis(500));
    /// assert_eq!([1, 2, 3].map(|attempt| rule.delay(attempt).as_millis()), [500, 1_000, 2_000]);
    /// ```
    pub const fn exp(base: Duration) -> Self {
        Backoff(Rule::Exp { base, factor: 2.0, max: DEFAULT_MAX })
    }

    /// Always the same.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::{Backoff, TaskConfig};
    /// const CONFIG: TaskConfig = TaskConfig::new().retry(5).backoff(Backoff::fixed(Duration::from_secs(30)));
    /// assert_eq!(CONFIG.backoff.delay(1), CONFIG.backoff.delay(5));
    /// ```
    pub const fn fixed(delay: Duration) -> Self {
        Backoff(Rule::Fixed(delay))
    }

    /// One delay after another; the last one goes on. An empty list gives no delay.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::Backoff;
    /// const RULE: Backoff =
    ///     Backoff::list(&[Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(3600)]);
    /// assert_eq!([1, 2, 3, 4].map(|attempt| RULE.delay(attempt).as_secs()), [1, 60, 3600, 3600]);
    /// ```
    pub const fn list(delays: &'static [Duration]) -> Self {
        Backoff(Rule::List(delays))
    }

    /// Another factor than 2, for an exponential rule; less than 1 counts as 1. Other rules stay as they are.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::Backoff;
    /// let rule = Backoff::exp(Duration::from_secs(1)).factor(10.0);
    /// assert_eq!([1, 2, 3].map(|attempt| rule.delay(attempt).as_secs()), [1, 10, 100]);
    /// ```
    pub const fn factor(self, factor: f64) -> Self {
        match self.0 {
            Rule::Exp { base, max, .. } => Backoff(Rule::Exp { base, factor, max }),
            _ => self,
        }
    }

    /// Another longest delay than one hour, for an exponential rule. Other rules stay as they are.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::Backoff;
    /// let (day, week) = (Duration::from_secs(24 * 3600), Duration::from_secs(7 * 24 * 3600));
    /// assert_eq!(Backoff::exp(day).max(week).delay(4), week);
    /// ```
    pub const fn max(self, max: Duration) -> Self {
        match self.0 {
            Rule::Exp { base, factor, .. } => Backoff(Rule::Exp { base, factor, max }),
            _ => self,
        }
    }

    /// The delay after run number `attempt` (from 1) has failed, before jitter.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::Backoff;
    /// // How long the default rule waits in all, at most, between ten runs:
    /// let waits: Duration = (1..10).map(|attempt| Backoff::DEFAULT.delay(attempt)).sum();
    /// assert_eq!(waits, Duration::from_secs(511));
    /// ```
    pub fn delay(&self, attempt: u32) -> Duration {
        let step = attempt.saturating_sub(1);
        match self.0 {
            Rule::Fixed(delay) => delay,
            Rule::List(delays) => delays.get(step as usize).or(delays.last()).copied().unwrap_or_default(),
            Rule::Exp { base, factor, max } => {
                let seconds = base.as_secs_f64() * factor.max(1.0).powi(i32::try_from(step).unwrap_or(i32::MAX));
                Duration::try_from_secs_f64(seconds).unwrap_or(max).min(max)
            }
        }
    }

    /// The delay with jitter: `draw` from 0 to 1 chooses between half of it and all of it.
    pub(crate) fn jittered(&self, attempt: u32, draw: f64) -> Duration {
        jittered(self.delay(attempt), draw)
    }
}

/// Chooses from the upper half of `delay`.
fn jittered(delay: Duration, draw: f64) -> Duration {
    delay.mul_f64(0.5 + 0.5 * draw.clamp(0.0, 1.0))
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_give_their_delays() {
        let seconds = Duration::from_secs;
        const DELAYS: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(5)];
        let list = Backoff::list(DELAYS);
        assert_eq!([1, 2, 3, 9].map(|n| list.delay(n)), [1, 5, 5, 5].map(seconds));
        assert_eq!([1, 2].map(|n| Backoff::fixed(seconds(3)).delay(n)), [3, 3].map(seconds));
        assert_eq!(Backoff::exp(seconds(1)).factor(3.0).delay(3), seconds(9));
        assert_eq!(Backoff::DEFAULT.delay(u32::MAX), seconds(3600));
        assert_eq!(Backoff::list(&[]).delay(1), Duration::ZERO);
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        for draw in [0.0, 0.3, 1.0] {
            let delay = Backoff::fixed(Duration::from_secs(10)).jittered(1, draw);
            assert!((5.0..=10.0).contains(&delay.as_secs_f64()));
        }
    }
}
