//! What the tests of this crate share.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::time::Duration;
use taskq_core::{End, ResultRecord};

pub const TTL: Duration = Duration::from_secs(60);

pub fn record(round: u32) -> ResultRecord {
    let mut record = ResultRecord::new(End::Done(vec![1, 2, 3].into()), "test.task");
    record.round = round;
    record
}
