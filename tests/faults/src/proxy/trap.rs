//! Requests whose reply is lost.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Waits for a request; then its reply is lost.
#[derive(Debug, Clone)]
pub struct LostReply(pub(super) Arc<Trap>);

impl LostReply {
    /// Whether a reply was lost: the server has answered, and the connection has been ended.
    pub fn has_happened(&self) -> bool {
        self.0.stage.load(Ordering::SeqCst) == SPRUNG
    }
}

const SET: u64 = 0;
const TAKEN: u64 = 1;
const SPRUNG: u64 = 2;

#[derive(Debug)]
pub(super) struct Trap {
    containing: Vec<u8>,
    stage: AtomicU64,
}

impl Trap {
    pub(super) fn new(containing: Vec<u8>) -> Trap {
        Trap { containing, stage: AtomicU64::new(SET) }
    }

    /// Whether this is the request that was waited for.
    pub(super) fn takes(&self, request: &[u8]) -> bool {
        let is_it =
            self.containing.is_empty() || request.windows(self.containing.len()).any(|at| at == self.containing);
        is_it && self.stage.compare_exchange(SET, TAKEN, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    pub(super) fn spring(&self) {
        self.stage.store(SPRUNG, Ordering::SeqCst);
    }

    /// No longer waits.
    pub(super) fn is_over(&self) -> bool {
        self.stage.load(Ordering::SeqCst) != SET
    }

    pub(super) fn disarm(&self) {
        let _ = self.stage.compare_exchange(SET, TAKEN, Ordering::SeqCst, Ordering::SeqCst);
    }
}
