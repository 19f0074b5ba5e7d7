//! A publisher process: sends the mix at an even pace, and writes down what it was told about each task.

use crate::{
    cast,
    ledger::{Event, Ledger},
    plan::{Kind, Plan},
    tasks::{aborts, flaky, hangs, panics, pass},
};
use clap::Parser;
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use taskq::{Call, Kiq, KiqError, Task, TaskConfig, TaskId, prelude::*};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    time::{MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How many tasks are being sent at once.
const SENDERS: usize = 48;
/// What a publisher that was held up may catch up on.
const MOST_BEHIND: usize = 3_000;
const TICK: Duration = Duration::from_millis(20);
const SERIAL_PAUSE: Duration = Duration::from_millis(60);
/// No process ends during the warm-up.
const FIRST_ABORT: Duration = Duration::from_secs(15);
const ABORT_PAUSE: Duration = Duration::from_secs(5);
/// One task of so many is waited for.
const WAITED_FOR: u64 = 25;

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    seed: u64,
    /// Tasks per second.
    #[arg(long)]
    rate: u32,
    /// Whether to send tasks that abort their worker.
    #[arg(long)]
    aborts: bool,
}

/// Publishes until SIGTERM, then waits for what it has sent.
#[must_use]
pub fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(publish(Args::parse()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn publish(args: Args) -> Result<(), Box<dyn Error>> {
    cast::end_with_parent()?;
    let mut stop = signal(SignalKind::terminate())?;
    let publisher = Arc::new(Publisher {
        app: cast::app_of_process()?,
        ledger: cast::ledger()?,
        process: cast::variable(cast::PROCESS)?,
        sent: AtomicU64::new(0),
        allowed: Semaphore::new(0),
        stop: CancellationToken::new(),
        waits: TaskTracker::new(),
    });
    publisher.app.startup().await?;
    let senders = TaskTracker::new();
    let mut rng = Rng::with_seed(args.seed);
    for _ in 0..SENDERS {
        senders.spawn(publisher.clone().send_mix(rng.fork()));
    }
    senders.spawn(publisher.clone().send_in_order(rng.fork()));
    if args.aborts {
        senders.spawn(publisher.clone().send_aborts(rng.fork()));
    }
    senders.spawn(publisher.clone().keep_pace(args.rate));
    stop.recv().await;
    publisher.stop.cancel();
    senders.close();
    senders.wait().await;
    publisher.waits.close();
    publisher.waits.wait().await;
    publisher.app.shutdown().await?;
    Ok(())
}

struct Publisher {
    app: App,
    ledger: Ledger,
    process: String,
    sent: AtomicU64,
    /// One permit for each task that may be sent now.
    allowed: Semaphore,
    stop: CancellationToken,
    waits: TaskTracker,
}

impl Publisher {
    async fn keep_pace(self: Arc<Self>, rate: u32) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut due = 0.0;
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            due += f64::from(rate) * TICK.as_secs_f64();
            while due >= 1.0 {
                due -= 1.0;
                if self.allowed.available_permits() < MOST_BEHIND {
                    self.allowed.add_permits(1);
                }
            }
        }
        self.allowed.close();
    }

    async fn send_mix(self: Arc<Self>, mut rng: Rng) {
        while let Ok(permit) = self.allowed.acquire().await {
            permit.forget();
            self.submit(Plan::draw(&mut rng)).await;
        }
    }

    /// One after the other, each confirmed before the next is sent, so that their order is known.
    async fn send_in_order(self: Arc<Self>, mut rng: Rng) {
        while self.stop.run_until_cancelled(tokio::time::sleep(SERIAL_PAUSE)).await.is_some() {
            self.submit(Plan::draw_serial(&mut rng)).await;
        }
    }

    async fn send_aborts(self: Arc<Self>, mut rng: Rng) {
        let mut pause = FIRST_ABORT;
        while self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            self.submit(Plan::draw_abort(&mut rng)).await;
            pause = ABORT_PAUSE;
        }
    }

    async fn submit(&self, plan: Plan) {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{}-{number}", self.process);
        self.ledger.note(Event::Submit { tag: tag.clone(), plan });
        let chosen = plan.own_id.then(|| TaskId::from(&tag));
        let answer = match self.send(&tag, plan, chosen).await {
            // What the library says to do about it.
            Err(error @ KiqError::Unknown { .. }) => {
                self.note_error(&tag, &error);
                let KiqError::Unknown { id, .. } = error else { return };
                self.send(&tag, plan, Some(id)).await
            }
            answer => answer,
        };
        match answer {
            Ok(handle) => {
                self.ledger.note(Event::Confirmed { tag: tag.clone(), id: handle.id().to_string() });
                if number.is_multiple_of(WAITED_FOR) {
                    self.wait_for(tag, handle);
                }
            }
            Err(error) => self.note_error(&tag, &error),
        }
    }

    fn note_error(&self, tag: &str, error: &KiqError) {
        let (tag, text) = (tag.to_owned(), chain(error));
        self.ledger.note(match error {
            KiqError::Unknown { .. } => Event::Unknown { tag, error: text },
            _ => Event::Refused { tag, error: text },
        });
    }

    async fn send(&self, tag: &str, plan: Plan, id: Option<TaskId>) -> Result<TaskHandle<String>, KiqError> {
        let tag = || tag.to_owned();
        match plan.kind {
            Kind::Quick | Kind::Nowhere => self.kiq(pass.kiq(tag(), 0), plan, id).await,
            Kind::Nap { millis } => self.kiq(pass.kiq(tag(), millis), plan, id).await,
            Kind::Delayed { millis } => {
                self.kiq(pass.kiq(tag(), 0).delay(Duration::from_millis(millis)), plan, id).await
            }
            Kind::Brief { millis } => {
                self.kiq(pass.kiq(tag(), 0).expires(Duration::from_millis(millis)), plan, id).await
            }
            Kind::Flaky { failures } => self.kiq(flaky.kiq(tag(), failures), plan, id).await,
            Kind::Hopeless => self.kiq(flaky.kiq(tag(), u32::MAX), plan, id).await,
            Kind::Panics => self.kiq(panics.kiq(tag()), plan, id).await,
            Kind::Hangs => self.kiq(hangs.kiq(tag()), plan, id).await,
            Kind::AbortsOnce => self.kiq(aborts.kiq(tag(), false), plan, id).await,
            Kind::AbortsAlways => self.kiq(aborts.kiq(tag(), true), plan, id).await,
            Kind::Malformed => self.kiq(Call::<PassBadly>::new(BadArgs { tag: 1 }).kiq(), plan, id).await,
            Kind::Oversize => self.kiq(pass.kiq("x".repeat(1_200_000), 0), plan, id).await,
        }
    }

    async fn kiq<T: Task>(&self, kiq: Kiq<T>, plan: Plan, id: Option<TaskId>) -> Result<TaskHandle<String>, KiqError> {
        let kiq = kiq.queue(plan.queue.name()).on(&self.app).within("12s");
        let kiq = match id {
            Some(id) => kiq.task_id(id),
            None => kiq,
        };
        Ok(kiq.await?.typed())
    }

    /// The value is compared after the run: this looks at whether waiters are told.
    fn wait_for(&self, tag: String, handle: TaskHandle<String>) {
        let ledger = self.ledger.clone();
        self.waits.spawn(async move {
            let heard = handle.wait_result().timeout("45s").await;
            ledger.note(match heard {
                Ok(result) => Event::Heard { tag, done: result.is_ok() },
                Err(error) => Event::NotHeard { tag, error: chain(&error) },
            });
        });
    }
}

/// The name of a task with arguments that it cannot read.
struct PassBadly;

#[derive(Serialize, Deserialize)]
struct BadArgs {
    tag: u32,
}

impl Task for PassBadly {
    type Args = BadArgs;
    type Output = String;
    type Returns = String;
    const NAME: &'static str = "chaos.pass";
    const CONFIG: TaskConfig = TaskConfig::new();
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
