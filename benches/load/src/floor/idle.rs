//! Two raw connections to RabbitMQ and one to Redis, with nothing to do.

use super::{line::connect, results::Results};
use crate::{
    protocol::{Place, Report},
    role::cue::Cue,
};
use anyhow::Result;

pub(crate) async fn idle(place: &Place, mut cue: Cue) -> Result<Report> {
    let publishing = connect(place).await?;
    let consuming = connect(place).await?;
    let channels = (publishing.create_channel().await?, consuming.create_channel().await?);
    let results = Results::connect(place).await?;
    let watch = cue.ready().await?;
    cue.stop().await?;
    drop((channels, results));
    Ok(watch.report(0))
}
