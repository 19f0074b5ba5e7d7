//! Ports that stay ours while the server that had them is down.

use crate::{Failure, Result};
use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
};

/// Outside the range of outgoing connections, or one of those could take the port of a server that is down.
const FIRST: u16 = 11_000;
const COUNT: u16 = 10_000;

/// A node of a Redis cluster also listens on its port plus this.
pub(crate) const COMPANION: u16 = 10_000;

/// A port that no other test of this machine uses for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// Locked; the lock ends with the process at the latest.
    _reservation: File,
}

impl Port {
    /// A port that is free, and its companion with it.
    pub(crate) fn free() -> Result<Port> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let directory = env::temp_dir().join("taskq-faults-ports");
        fs::create_dir_all(&directory)
            .map_err(|error| Failure::new(format!("cannot create {}: {error}", directory.display())))?;
        for _ in 0..COUNT {
            let step = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let number = FIRST + u16::try_from(step % u32::from(COUNT)).unwrap_or_default();
            // A file of another user cannot be opened: that port is not ours to take.
            let Ok(reservation) = File::options().create(true).append(true).open(directory.join(number.to_string()))
            else {
                continue;
            };
            if reservation.try_lock().is_ok() && is_free(number) && is_free(number + COMPANION) {
                return Ok(Port { number, _reservation: reservation });
            }
        }
        Err(Failure::new(format!("no port is free from {FIRST} on")))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_reserved_while_it_is_held() {
        let held: Vec<Port> = (0..20).map(|_| Port::free().unwrap()).collect();
        let numbers: std::collections::HashSet<u16> = held.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), held.len());
        let file = env::temp_dir().join("taskq-faults-ports").join(held[0].number().to_string());
        let other = File::options().append(true).open(&file).unwrap();
        assert!(other.try_lock().is_err(), "another process could take it");
        drop(held);
        assert!(other.try_lock().is_ok());
    }
}
