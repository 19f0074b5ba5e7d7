//! What has passed.

use super::Way;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a proxy has seen since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that clients made, whatever became of them.
    pub accepted: u64,
    /// Bytes that were passed on to the server.
    pub bytes_to_server: u64,
    /// Bytes that were passed on to clients.
    pub bytes_to_client: u64,
    /// Frames that were not passed on.
    pub frames_swallowed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counting {
    accepted: AtomicU64,
    bytes: [AtomicU64; 2],
    frames_swallowed: AtomicU64,
}

impl Counting {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn passed(&self, way: Way, bytes: usize) {
        self.bytes[way.index()].fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(super) fn swallowed(&self) {
        self.frames_swallowed.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn seen(&self) -> Counters {
        let bytes = |way: Way| self.bytes[way.index()].load(Ordering::SeqCst);
        Counters {
            accepted: self.accepted.load(Ordering::SeqCst),
            bytes_to_server: bytes(Way::ToServer),
            bytes_to_client: bytes(Way::ToClient),
            frames_swallowed: self.frames_swallowed.load(Ordering::SeqCst),
        }
    }
}
