//! The bugs that can be planted in the library, and what must be found then.

use crate::check::{Breach, Verdict};

/// The name in `--cfg taskq_bug="NAME"`, and the breaches of which one has to be found.
const BUGS: [(&str, &[Breach]); 6] = [
    ("ack_before_result", &[Breach::Lost]),
    ("ack_across_epochs", &[Breach::UnknownAck, Breach::Lost]),
    ("no_mandatory", &[Breach::Lost]),
    ("keep_x_death", &[Breach::Lost, Breach::NotDrained]),
    ("auto_recovery", &[Breach::UnknownAck, Breach::Lost, Breach::NotDrained]),
    ("no_dedupe", &[Breach::RanAfterItsEnd, Breach::Overlapping]),
];

/// The bug that was compiled in.
pub(crate) const PLANTED: Option<&str> = if cfg!(taskq_bug = "ack_before_result") {
    Some("ack_before_result")
} else if cfg!(taskq_bug = "ack_across_epochs") {
    Some("ack_across_epochs")
} else if cfg!(taskq_bug = "no_mandatory") {
    Some("no_mandatory")
} else if cfg!(taskq_bug = "keep_x_death") {
    Some("keep_x_death")
} else if cfg!(taskq_bug = "auto_recovery") {
    Some("auto_recovery")
} else if cfg!(taskq_bug = "no_dedupe") {
    Some("no_dedupe")
} else {
    None
};

/// Whether the verdict shows what this bug does; a breach that any build may have does not count.
pub(crate) fn is_found(bug: &str, verdict: &Verdict) -> bool {
    let marks = BUGS.iter().find(|(name, _)| *name == bug).map(|(_, marks)| *marks).unwrap_or_default();
    marks.iter().any(|mark| verdict.breaches.contains_key(mark))
}
