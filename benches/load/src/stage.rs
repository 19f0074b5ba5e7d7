//! Queues that exist, as taskq declares them, and what is in them.

use crate::{
    floor::line,
    ours::app::{Results, app},
    player::Player,
    protocol::{Figures, Kind, Place, Publishing, Role, Task},
    setting::Setting,
};
use anyhow::{Result, bail};
use lapin::{Channel, options::BasicGetOptions};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// As many as make publishing fast.
const IN_FLIGHT: usize = 1_000;

/// Tasks that were done and whose acks were lost, by name among the figures.
pub(crate) const LEFT: &str = "left";

const LOOK: Duration = Duration::from_millis(100);

/// Queues of one place, until [`Stage::strike`].
pub(crate) struct Stage<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) place: Place,
    channel: Channel,
}

impl<'a> Stage<'a> {
    pub(crate) async fn set(setting: &'a Setting, kind: Kind) -> Result<Self> {
        Stage::set_with(setting, kind, 1, 0).await
    }

    /// `queues` queues, and tasks with `text` bytes of text.
    pub(crate) async fn set_with(setting: &'a Setting, kind: Kind, queues: usize, text: usize) -> Result<Self> {
        let place = Place { text, ..setting.place(kind, queues) };
        let app = app(&place, Results::None);
        app.startup().await?;
        app.broker().prepare_delays().await?;
        app.shutdown().await?;
        Ok(Stage { setting, place, channel: setting.channel().await? })
    }

    /// Publishes so many tasks, and gives the server time to settle.
    pub(crate) async fn fill(&self, task: Task, tasks: u64) -> Result<()> {
        let how = Publishing::Floor { in_flight: IN_FLIGHT };
        let delay_millis = if task == Task::Fails { self.setting.amounts.delay_millis } else { 0 };
        let mut player = Player::start(&self.place, Role::Publish { how, task, tasks, delay_millis }).await?;
        player.go().await?;
        player.done().await?;
        sleep(self.setting.amounts.settle).await;
        Ok(())
    }

    /// Messages that are ready, in all queues.
    pub(crate) async fn ready(&self) -> Result<u64> {
        let mut ready = 0;
        for queue in &self.place.queues {
            ready += line::ready(&self.channel, queue).await?;
        }
        Ok(ready)
    }

    /// Waits until so many messages are ready.
    pub(crate) async fn wait_for(&self, messages: u64, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            match self.ready().await? {
                ready if ready >= messages => return Ok(()),
                ready if Instant::now() > end => bail!("{ready} of {messages} messages are there after {patience:?}"),
                _ => sleep(LOOK).await,
            }
        }
    }

    /// Notes what a run left: whoever consumed is gone, so that what was not acknowledged is ready again.
    pub(crate) async fn end_run(&self, figures: &mut Figures) -> Result<()> {
        let left = self.ready().await?;
        figures.insert(LEFT.into(), left as f64);
        if left > 0 {
            self.setting.purge(&self.place.queues).await?;
        }
        self.setting.forget_results().await
    }

    /// Takes so many messages from the front of the first queue, as long as there are some.
    pub(crate) async fn skim(&self, messages: usize) -> Result<()> {
        for _ in 0..messages {
            let queue = self.place.queues[0].as_str().into();
            let Some(message) = self.channel.basic_get(queue, BasicGetOptions { no_ack: true }).await? else { break };
            drop(message);
        }
        Ok(())
    }

    /// Takes everything away, and gives the server time to settle.
    pub(crate) async fn clear(&self) -> Result<()> {
        self.setting.purge(&self.place.queues).await?;
        self.setting.forget_results().await?;
        sleep(self.setting.amounts.settle).await;
        Ok(())
    }

    pub(crate) async fn strike(&self) -> Result<()> {
        self.setting.forget_results().await?;
        self.setting.delete(&self.place.queues).await
    }
}
