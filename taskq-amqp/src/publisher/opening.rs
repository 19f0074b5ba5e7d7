//! Opening a channel to publish on.

use crate::{
    error,
    link::{Link, Patience},
    session::Session,
    topology,
};
use lapin::{Channel, options::ConfirmSelectOptions};
use std::{sync::Arc, time::Duration};
use taskq_core::BrokerError;
use tokio::time::sleep;

/// Between attempts to open a channel on a connection that works.
const REOPEN: Duration = Duration::from_millis(200);

pub(super) type Opened = (Arc<Session>, Arc<Channel>);

/// Opens a channel on the present connection or the next ones, until one opens.
pub(super) async fn open_channel(link: Link, has_delays: bool) -> Result<Opened, BrokerError> {
    loop {
        let session = link.session(Patience::Endless).await?;
        match session.guard(confirming_channel(&session, has_delays)).await {
            Ok(channel) => return Ok((session, Arc::new(channel))),
            Err(error) if session.is_dead() => tracing::debug!(%error, "the connection died before a channel was open"),
            Err(error) => {
                let error = error::of_queue(&error, "taskq.v1.delay", &session.address);
                if !error.is_retryable() {
                    return Err(error);
                }
                tracing::warn!(%error, "no channel to publish on; trying again");
                sleep(REOPEN).await;
            }
        }
    }
}

async fn confirming_channel(session: &Session, has_delays: bool) -> Result<Channel, lapin::Error> {
    let channel = session.channel().await?;
    if has_delays {
        topology::declare_levels(&channel).await?;
    }
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}
