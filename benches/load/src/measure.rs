//! One measurement: processes do their work, and what they and the servers used is put together.

use crate::{
    player::Player,
    protocol::{Figures, Place, Report, Role},
    servers::{ServerCpu, Servers},
};
use anyhow::Result;

/// CPU is told in seconds for so many tasks.
const CPU_TASKS: f64 = 10_000.0;

/// What a process is called in the figures.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Publisher,
    Worker,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Publisher => "publisher",
            Part::Worker => "worker",
        }
    }
}

/// One process at work.
pub(crate) async fn alone(servers: &Servers, place: &Place, role: Role, part: Part) -> Result<Figures> {
    let mut player = Player::start(place, role).await?;
    let before = servers.cpu();
    player.go().await?;
    let report = player.done().await?;
    let mut figures = report.figures.clone();
    figures.insert("per second".into(), report.tasks as f64 / report.seconds);
    put_cpu(&mut figures, part, &report);
    put_servers(&mut figures, before, servers.cpu(), report.tasks);
    Ok(figures)
}

/// A worker and a publisher at work together. The worker goes on until it has done its tasks or, if it has no number of
/// them, until the publisher is done.
pub(crate) async fn both(servers: &Servers, place: &Place, worker: Role, publisher: Role) -> Result<Figures> {
    let mut working = Player::start(place, worker).await?;
    let mut publishing = Player::start(place, publisher).await?;
    let before = servers.cpu();
    working.go().await?;
    publishing.go().await?;
    let published = publishing.done().await?;
    if let Role::Work { tasks: None, .. } = worker {
        working.stop().await?;
    }
    let worked = working.done().await?;
    let after = servers.cpu();
    let mut figures = published.figures.clone();
    figures.extend(worked.figures.clone());
    figures.insert("per second".into(), worked.tasks as f64 / worked.seconds);
    put_cpu(&mut figures, Part::Publisher, &published);
    put_cpu(&mut figures, Part::Worker, &worked);
    put_servers(&mut figures, before, after, worked.tasks);
    Ok(figures)
}

fn put_cpu(figures: &mut Figures, part: Part, report: &Report) {
    figures.insert(format!("{} cpu", part.name()), report.cpu / report.tasks as f64 * CPU_TASKS);
}

fn put_servers(figures: &mut Figures, before: ServerCpu, after: ServerCpu, tasks: u64) {
    for (name, before, after) in
        [("rabbitmq cpu", before.rabbitmq, after.rabbitmq), ("redis cpu", before.redis, after.redis)]
    {
        if let (Some(before), Some(after)) = (before, after) {
            figures.insert(name.into(), (after - before) / tasks as f64 * CPU_TASKS);
        }
    }
}
