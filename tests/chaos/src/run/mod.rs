//! One run: start everything, warm up, spoil, heal, drain, read, check.

mod crew;
mod faults;
pub(crate) mod leftovers;
pub(crate) mod nemesis;
mod progress;
pub(crate) mod servers;

use crate::{
    check,
    history::History,
    ledger::{Event, Ledger, Phase, Reader},
    verdict,
};
use clap::Parser;
use crew::{Crew, Role};
use progress::Progress;
use servers::Servers;
use std::{error::Error, fs, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::task::LocalSet;

const WARM_UP: Duration = Duration::from_secs(5);
const SETTLE_DOWN: Duration = Duration::from_secs(5);
const DRAIN_CAP: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Parser)]
#[command(about = "runs taskq under faults and shows what was lost and what ran twice")]
pub(crate) struct Args {
    /// What faults and tasks are drawn from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How long faults are made.
    #[arg(long, default_value_t = 90)]
    pub(crate) seconds: u64,
    /// Three RabbitMQ nodes instead of one.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// No faults at all: then there must be no duplicate at all.
    #[arg(long)]
    pub(crate) calm: bool,
    /// Tasks per second that each of the two publishers sends.
    #[arg(long, default_value_t = 160)]
    pub(crate) rate: u32,
    /// Where ledgers, logs and the verdict go.
    #[arg(long, default_value = "target/chaos")]
    pub(crate) out: PathBuf,
}

/// Runs as the command line says; success if everything held.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&args))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let directory = std::path::absolute(args.out.join(args.seed.to_string()))?;
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    let (ledgers, logs) = (directory.join("ledgers"), directory.join("logs"));
    fs::create_dir_all(&logs)?;
    let ledger = Ledger::open(&ledgers, "chaos")?;
    eprintln!("seed {}: servers start; everything is kept in {}", args.seed, directory.display());
    let servers = Arc::new(Servers::start(args.cluster, &logs).await?);
    let crew = Arc::new(Crew::start(roles(args, &servers), &ledger, &directory));
    let progress = Progress::follow(&ledgers);

    enter(&ledger, Phase::WarmUp);
    begin_working(&progress).await?;
    tokio::time::sleep(WARM_UP).await;
    enter(&ledger, Phase::Faults);
    let memory = tokio::spawn(note_memory(crew.clone(), ledger.clone()));
    let spoiling = Duration::from_secs(args.seconds);
    match args.calm {
        true => tokio::time::sleep(spoiling).await,
        false => {
            let (servers, crew) = (servers.clone(), crew.clone());
            let world = nemesis::World { servers, crew, progress: progress.clone(), ledger: ledger.clone() };
            LocalSet::new().run_until(nemesis::spoil(world, args.seed, spoiling, args.cluster)).await;
        }
    }
    enter(&ledger, Phase::Heal);
    servers.brokers.lock().await.heal().await?;
    tokio::time::sleep(SETTLE_DOWN).await;
    crew.end("publisher").await;
    enter(&ledger, Phase::Drain);
    let depths = leftovers::drain(&servers, DRAIN_CAP).await?;
    memory.abort();
    crew::note_memory(&crew, &ledger);
    enter(&ledger, Phase::Check);
    crew.end("worker").await;

    let history = History::new(Reader::new(&ledgers).read()?);
    let left = leftovers::read(&servers, history.ids(), depths, &logs).await?;
    let verdict = check::check(&history, &left, &check::Floors::of(args.seconds, args.calm));
    verdict::publish(&verdict, &history, args.seed, &directory)?;
    Ok(verdict.holds())
}

/// Two publishers, and three workers: one of them alone works on the serial queue, another one alone on the tasks that
/// abort their process.
fn roles(args: &Args, servers: &Servers) -> Vec<Role> {
    let (brokers, results) = (servers.broker_urls.join(" "), servers.redis_url.clone());
    let role = |name: String, program, arguments: &[&str]| Role {
        name,
        program,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        brokers: brokers.clone(),
        results: results.clone(),
    };
    let queues = ["chaos-serial:1,chaos-quorum:40,chaos-classic:20", "chaos-quorum:40,chaos-classic:20"];
    let queues = queues.into_iter().chain(["chaos-aborts:10,chaos-quorum:40,chaos-classic:20"]).enumerate();
    let workers = queues.map(|(at, queues)| role(format!("worker-{at}"), "chaos-worker", &["--queues", queues]));
    let rate = args.rate.to_string();
    let publishers = (0..2).map(|at| {
        // Each process in a place draws something else.
        let seed = format!("{}{at}{{number}}", args.seed);
        let mut arguments = vec!["--seed", &seed, "--rate", &rate];
        if at == 0 && !args.calm {
            arguments.push("--aborts");
        }
        role(format!("publisher-{at}"), "chaos-publisher", &arguments)
    });
    workers.chain(publishers).collect()
}

fn enter(ledger: &Ledger, phase: Phase) {
    eprintln!("{phase:?}");
    ledger.note(Event::Phase { phase });
}

/// Until tasks are sent and run.
async fn begin_working(progress: &Progress) -> Result<(), Box<dyn Error>> {
    for _ in 0..300 {
        if progress.confirmed() > 100 && progress.starts() > 100 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("no work is done after 30 s; the logs of the processes say why".into())
}

async fn note_memory(crew: Arc<Crew>, ledger: Ledger) {
    let mut minutes = tokio::time::interval(Duration::from_secs(60));
    loop {
        minutes.tick().await;
        crew::note_memory(&crew, &ledger);
    }
}
