//! What a process that the load program starts does.

pub(crate) mod cue;

use crate::{
    floor::{self, publish::Plan},
    meter::Meter,
    ours::{self, app::Results},
    pace::Schedule,
    protocol::{Noting, Orders, Place, Publishing, Report, Role, Side, Threads, Told, Working},
};
use anyhow::{Result, bail};
use cue::{Cue, tell};
use tokio::runtime::{Builder, Runtime};

/// Does what the orders say.
pub(crate) fn main(orders: &str) -> Result<()> {
    let Orders { place, role } = serde_json::from_str(orders)?;
    runtime(role)?.block_on(async {
        let report = play(&place, role, Cue::listen()).await?;
        tell(&Told::Done(report))
    })
}

/// taskq gets what `#[tokio::main]` gives, the floor what is fastest for it.
fn runtime(role: Role) -> Result<Runtime> {
    let is_single = match role {
        Role::Publish { how, .. } => matches!(how, Publishing::Floor { .. }),
        Role::Work { how, .. } => {
            matches!(how, Working::OneByOne(Threads::One) | Working::Together | Working::Acks | Working::Retries)
        }
        Role::Pace { side, .. } | Role::RoundTrip { side, .. } | Role::Handles { side, .. } | Role::Idle { side } => {
            side == Side::Floor
        }
        Role::Sleep { .. } | Role::InMemory { .. } => false,
    };
    let mut builder = if is_single { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    Ok(builder.enable_all().build()?)
}

async fn play(place: &Place, role: Role, cue: Cue) -> Result<Report> {
    match role {
        Role::Publish { how, task, tasks, delay_millis } => {
            publish(place, how, Plan { task, tasks, delay_millis }, cue).await
        }
        Role::Work { how, concurrency, tasks, noting } => {
            let meter = Meter::start(tasks.unwrap_or(u64::MAX), noting)?;
            work(place, how, concurrency, noting, meter, cue).await
        }
        Role::Pace { side, per_second, tasks, waited_for } => {
            let schedule = Schedule { per_second, tasks, waited_for };
            match side {
                Side::Floor => floor::wait::pace(place, schedule, cue).await,
                Side::Taskq => ours::wait::pace(place, schedule, cue).await,
            }
        }
        Role::RoundTrip { side: Side::Floor, tasks } => floor::wait::round_trips(place, tasks, cue).await,
        Role::RoundTrip { side: Side::Taskq, tasks } => ours::wait::round_trips(place, tasks, cue).await,
        Role::Handles { side: Side::Floor, tasks } => floor::wait::handles(place, tasks, cue).await,
        Role::Handles { side: Side::Taskq, tasks } => ours::wait::handles(place, tasks, cue).await,
        Role::Idle { side: Side::Floor } => floor::idle::idle(place, cue).await,
        Role::Idle { side: Side::Taskq } => ours::work::idle(place, cue).await,
        Role::Sleep { tasks } => ours::work::sleep(place, tasks, cue).await,
        Role::InMemory { side: Side::Floor, callers, tasks } => floor::in_memory::call(callers, tasks, cue).await,
        Role::InMemory { side: Side::Taskq, callers, tasks } => ours::in_memory::call(callers, tasks, cue).await,
    }
}

async fn publish(place: &Place, how: Publishing, plan: Plan, cue: Cue) -> Result<Report> {
    match how {
        Publishing::Floor { in_flight } => floor::publish::publish(place, in_flight, plan, cue).await,
        Publishing::Shape { callers } => floor::shape::publish(place, callers, plan, cue).await,
        Publishing::Callers(callers) => ours::publish::by_callers(place, callers, plan, cue).await,
        Publishing::Many if place.text == 0 => ours::publish::at_once(place, plan, cue).await,
        Publishing::Many => bail!("`kiq_many` is measured without a text"),
    }
}

async fn work(
    place: &Place,
    how: Working,
    concurrency: usize,
    noting: Noting,
    meter: &'static Meter,
    cue: Cue,
) -> Result<Report> {
    // As taskq has it.
    let prefetch = u16::try_from(concurrency.saturating_mul(2)).unwrap_or(u16::MAX);
    match how {
        Working::OneByOne(_) | Working::Together | Working::Acks => {
            floor::work::work(place, how, prefetch, meter, cue).await
        }
        Working::Retries => floor::retries::work(place, prefetch, meter, cue).await,
        Working::Shape => floor::shape::work(place, prefetch, meter, cue).await,
        Working::Taskq => ours::work::work(place, Results::Kept, concurrency, noting, meter, cue).await,
        Working::TaskqWithoutResults => ours::work::work(place, Results::None, concurrency, noting, meter, cue).await,
    }
}
