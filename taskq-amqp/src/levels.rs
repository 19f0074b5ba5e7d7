//! The queues for delays: declared once per connection, by whoever needs them first.

use crate::{session::Session, topology};
use tokio::sync::Mutex;

/// The connection they were last declared on. Cheap to share: only the first to ask on a connection asks the server.
#[derive(Default)]
pub(crate) struct Levels {
    declared_in: Mutex<Option<u64>>,
}

impl Levels {
    /// Makes sure that they are there. Ask under [`Session::guard`]. Cancel safe: what was not finished is begun anew.
    pub(crate) async fn declare(&self, session: &Session) -> Result<(), lapin::Error> {
        let mut declared_in = self.declared_in.lock().await;
        if *declared_in != Some(session.epoch) {
            topology::declare_levels(session).await?;
            *declared_in = Some(session.epoch);
        }
        Ok(())
    }
}
