//! Opening a channel to publish on.

use crate::{
    error,
    levels::Levels,
    link::{Link, Patience},
    session::Session,
};
use lapin::{Channel, options::ConfirmSelectOptions};
use std::{sync::Arc, time::Duration};
use taskq_core::BrokerError;
use tokio::time::sleep;

/// Between attempts to open a channel on a connection that works.
const REOPEN: Duration = Duration::from_millis(200);

pub(super) type Opened = (Arc<Session>, Arc<Channel>);

/// Opens a channel on the present connection or the next ones, until one opens. `levels` are declared before, if given.
pub(super) async fn open_channel(link: Link, levels: Option<Arc<Levels>>) -> Result<Opened, BrokerError> {
    loop {
        let session = link.session(Patience::Endless).await?;
        match session.guard(confirming_channel(&session, levels.as_deref())).await {
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

async fn confirming_channel(session: &Session, levels: Option<&Levels>) -> Result<Channel, lapin::Error> {
    if let Some(levels) = levels {
        levels.declare(session).await?;
    }
    let channel = session.channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}
