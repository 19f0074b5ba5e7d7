//! Delays as bits: a message passes one queue per set bit of its delay, each of which holds it for twice as long as the
//! one below.

use std::time::Duration;
use taskq_core::Origin;

/// Number of levels; the longest delay is 2^28 ticks, 310 days.
pub(crate) const LEVELS: u32 = 28;

/// What the lowest level holds a message for.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Where the last level sends what is due.
pub(crate) const DELIVER: &str = "taskq.v1.delay.deliver";

/// Bits that a worker's delay keeps: at most four hops, at most an eighth late.
const WORKER_BITS: u32 = 4;

const MAX_TICKS: u32 = (1 << LEVELS) - 1;

/// A delay of at least one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticks(u32);

impl Ticks {
    /// `delay` in ticks, rounded up, so that nothing is due too early; `None` for no delay at all.
    ///
    /// A delay longer than all levels together becomes that long: who takes the message sends the rest of the way.
    pub(crate) fn of(delay: Duration, origin: Origin) -> Option<Ticks> {
        let ticks = delay.as_nanos().div_ceil(TICK.as_nanos());
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX).min(MAX_TICKS);
        let ticks = if origin == Origin::Worker { rounded_up(ticks) } else { ticks };
        (ticks > 0).then_some(Ticks(ticks))
    }

    /// The exchange that the message enters at: the level of the highest bit.
    pub(crate) fn exchange(self) -> String {
        level(31 - self.0.leading_zeros())
    }

    /// The way through the levels, with the queue at its end.
    pub(crate) fn routing_key(self, queue: &str) -> String {
        let mut key = String::with_capacity(2 * LEVELS as usize + queue.len());
        for bit in (0..LEVELS).rev() {
            key.push_str(if self.0 >> bit & 1 == 1 { "1." } else { "0." });
        }
        key.push_str(queue);
        key
    }
}

/// The queue at the end of a way through the levels; `None` if the routing key is no such way.
pub(crate) fn target(routing_key: &str) -> Option<&str> {
    let (bits, queue) = routing_key.split_at_checked(2 * LEVELS as usize)?;
    let is_way = bits.as_bytes().chunks_exact(2).all(|bit| matches!(bit, [b'0' | b'1', b'.']));
    (is_way && !queue.is_empty()).then_some(queue)
}

/// Whether what comes with this key has waited for all of its delay: not for one that was longer than all levels together.
pub(crate) fn is_kept(routing_key: &str) -> bool {
    const LONGEST: &str = "1.1.1.1.";
    target(routing_key).is_some() && !routing_key.starts_with(LONGEST)
}

/// `ticks` with only its highest [`WORKER_BITS`] bits, rounded up.
fn rounded_up(ticks: u32) -> u32 {
    let width = 32 - ticks.leading_zeros();
    let dropped = width.saturating_sub(WORKER_BITS);
    let kept = ticks.div_ceil(1 << dropped) << dropped;
    // The longest delays round up past the last level; what is missing is made up for on arrival.
    kept.min(((1 << WORKER_BITS) - 1) << (LEVELS - WORKER_BITS))
}

/// The exchange and the queue of one level.
pub(crate) fn level(bit: u32) -> String {
    format!("taskq.v1.delay.{bit:02}")
}

/// How long the queue of one level holds a message, in milliseconds.
pub(crate) fn holds_millis(bit: u32) -> i64 {
    100 << bit
}

/// What a level's queue takes: messages with its bit set.
pub(crate) fn held_key(bit: u32) -> String {
    format!("{}1.#", "*.".repeat((LEVELS - 1 - bit) as usize))
}

/// What passes a level without being held.
pub(crate) fn passed_key(bit: u32) -> String {
    format!("{}0.#", "*.".repeat((LEVELS - 1 - bit) as usize))
}

/// What is delivered to `queue`: exactly its name after the bits, so that `a.b` does not reach `b`.
pub(crate) fn delivered_key(queue: &str) -> String {
    format!("{}{queue}", "*.".repeat(LEVELS as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_delay_becomes_its_bits() {
        let ticks = Ticks::of(millis(1500), Origin::Caller).unwrap();
        assert_eq!(ticks.exchange(), "taskq.v1.delay.03");
        assert_eq!(ticks.routing_key("mail"), format!("{}1.1.1.1.mail", "0.".repeat(24)));
        assert_eq!(Ticks::of(Duration::ZERO, Origin::Caller), None);
        assert_eq!(Ticks::of(Duration::from_nanos(1), Origin::Caller), Some(Ticks(1)));
        assert_eq!(Ticks::of(Duration::MAX, Origin::Caller), Some(Ticks(MAX_TICKS)));
        assert_eq!(Ticks::of(Duration::MAX, Origin::Worker), Some(Ticks(0b1111 << 24)));
    }

    #[test]
    fn the_longest_queue_name_fits_a_routing_key() {
        let name = "x".repeat(taskq_core::defaults::MAX_QUEUE_NAME);
        assert_eq!(Ticks(1).routing_key(&name).len(), 255);
        assert_eq!(delivered_key(&name).len(), 255);
    }

    #[test]
    fn a_way_tells_its_target_and_nothing_else_does() {
        for queue in ["mail", "a.b", "0.1"] {
            assert_eq!(target(&Ticks(9).routing_key(queue)), Some(queue));
        }
        let short = "0.".repeat(27) + "mail";
        for other in ["", "mail", &short, &"0.".repeat(28), &("2.".repeat(28) + "mail")] {
            assert_eq!(target(other), None, "{other}");
        }
    }

    #[test]
    fn bindings_name_the_bit_they_are_about() {
        assert_eq!(held_key(27), "1.#");
        assert_eq!(held_key(25), "*.*.1.#");
        assert_eq!(passed_key(26), "*.0.#");
        assert_eq!(delivered_key("a.b"), format!("{}a.b", "*.".repeat(28)));
        assert_eq!(holds_millis(27), 13_421_772_800);
    }

    /// Whether a topic binding takes a routing key.
    fn matches(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), _) => (0..=key.len()).any(|at| matches(rest, &key[at..])),
            (Some((&"*", rest)), Some((_, tail))) => matches(rest, tail),
            (Some((word, rest)), Some((head, tail))) => word == head && matches(rest, tail),
            _ => false,
        }
    }

    fn takes(pattern: &str, key: &str) -> bool {
        matches(&pattern.split('.').collect::<Vec<_>>(), &key.split('.').collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn the_levels_hold_a_message_for_exactly_its_ticks(delay in 1u64..26_843_545_500, worker: bool) {
            let origin = if worker { Origin::Worker } else { Origin::Caller };
            let ticks = Ticks::of(millis(delay), origin).unwrap();
            let key = ticks.routing_key("a.b");
            let mut held = 0;
            let entry = (0..LEVELS).find(|bit| level(*bit) == ticks.exchange()).unwrap();
            for bit in (0..=entry).rev() {
                let (holds, passes) = (takes(&held_key(bit), &key), takes(&passed_key(bit), &key));
                prop_assert!(holds != passes);
                held += if holds { holds_millis(bit) as u64 } else { 0 };
            }
            prop_assert_eq!(held, u64::from(ticks.0) * 100);
            prop_assert!(takes(&delivered_key("a.b"), &key));
            prop_assert!(!takes(&delivered_key("b"), &key));
        }

        #[test]
        fn rounding_is_up_and_by_little(delay in 1u64..25_000_000_000) {
            let exact = Ticks::of(millis(delay), Origin::Caller).unwrap().0;
            let rounded = Ticks::of(millis(delay), Origin::Worker).unwrap().0;
            prop_assert!(u64::from(exact) * 100 >= delay);
            prop_assert!(rounded >= exact);
            prop_assert!(u64::from(rounded - exact) * 8 <= u64::from(exact));
            prop_assert!(rounded.count_ones() <= WORKER_BITS);
        }
    }

    #[test]
    fn a_delay_is_kept_by_the_way_through_the_levels_unless_it_was_longer_than_all_of_them() {
        let key = |delay, origin| Ticks::of(delay, origin).unwrap().routing_key("mail");
        let day = Duration::from_secs(24 * 3600);
        for origin in [Origin::Caller, Origin::Worker] {
            assert!(is_kept(&key(TICK, origin)) && is_kept(&key(100 * day, origin)));
            assert!(!is_kept(&key(400 * day, origin)), "the rest of it is still to come");
        }
        assert!(!is_kept("mail"));
    }
}
