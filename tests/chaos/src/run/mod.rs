//! One run: start everything, warm up, spoil, heal, drain, read, check.

mod broker_log;
mod crew;
mod faults;
pub(crate) mod leftovers;
mod lines;
pub(crate) mod nemesis;
mod progress;
pub(crate) mod servers;

use crate::{
    bugs, check,
    clock::Instant,
    history::History,
    ledger::{Event, Ledger, Line, Phase, Reader},
    verdict,
};
use clap::Parser;
use crew::{Crew, Role};
use lines::Lines;
use progress::Progress;
use servers::Servers;
use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use taskq_faults::Failure;
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

/// Runs as the command line says; success if everything held or, with a planted bug, if that was found.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&args))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
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
    let ledgers = directory.join("ledgers");
    let ledger = Ledger::open(&ledgers, "chaos")?;
    eprintln!("seed {}: servers start; everything is kept in {}", args.seed, directory.display());
    let servers = Arc::new(Servers::start(args.cluster).await?);
    let lines: Result<BTreeMap<String, Lines>, _> =
        NAMES.into_iter().map(|name| Ok::<_, Failure>((name.to_owned(), Lines::to(&servers)?))).collect();
    let lines = Arc::new(lines?);
    let crew = Arc::new(Crew::start(roles(args, &lines), &ledger, &directory));
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
            let (servers, crew, lines) = (servers.clone(), crew.clone(), lines.clone());
            let world = nemesis::World { servers, crew, progress: progress.clone(), ledger: ledger.clone(), lines };
            LocalSet::new().run_until(nemesis::spoil(world, args.seed, spoiling, args.cluster)).await;
        }
    }
    enter(&ledger, Phase::Heal);
    lines.values().for_each(Lines::heal);
    servers.brokers.lock().await.heal().await?;
    tokio::time::sleep(SETTLE_DOWN).await;
    for node in servers.brokers.lock().await.restart_mute().await? {
        ledger.note(Event::NodeRestarted { node });
    }
    crew.end("publisher").await;
    enter(&ledger, Phase::Drain);
    let depths = leftovers::drain(&servers, &progress, DRAIN_CAP).await?;
    if !depths.iter().all(servers::Depth::is_drained) {
        fs::write(directory.join("handing-on.txt"), servers.handing_on().await)?;
    }
    memory.abort();
    crew::note_memory(&crew, &ledger);
    enter(&ledger, Phase::Check);
    crew.end("worker").await;

    let mut told = Reader::new(&ledgers).read()?;
    let unknown_acks = add_broker_logs(&servers, &mut told, &directory).await?;
    let history = History::new(told);
    let left = leftovers::read(&servers, history.ids(), depths, unknown_acks).await?;
    let verdict = check::check(&history, &left, &check::Floors::of(args.seconds, args.calm));
    verdict::publish(&verdict, &history, args.seed, &directory)?;
    Ok(match bugs::PLANTED {
        None => verdict.holds(),
        Some(bug) => {
            let is_found = bugs::is_found(bug, &verdict);
            eprintln!("the planted bug {bug} was {}", if is_found { "found" } else { "NOT found" });
            is_found
        }
    })
}

/// Adds what the brokers wrote down to what the processes did. Gives the lines about acks that they did not understand.
async fn add_broker_logs(
    servers: &Servers,
    lines: &mut Vec<Line>,
    directory: &Path,
) -> Result<Vec<String>, Box<dyn Error>> {
    let mut unknown_acks = Vec::new();
    // Both clocks were read for each line.
    let boot = lines.last().map_or(0, |line| line.wall * 1_000 - line.at.0);
    let mut logs = BTreeMap::new();
    for (number, (node, path)) in servers.logs().await.into_iter().enumerate() {
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        fs::write(directory.join(format!("rabbitmq-{number}.log")), &text)?;
        let is_kill = |line: &&Line| line.event == Event::NodeKilled { node: number };
        let kills: Vec<u64> = lines.iter().filter(is_kill).map(|line| line.at.0 + boot).collect();
        let mut told = broker_log::read(&text, &kills);
        unknown_acks.append(&mut told.unknown_acks);
        logs.insert(node, told);
    }
    lines.extend(broker_log::ends(&logs).into_iter().map(|(at, event)| Line {
        at: Instant(at.saturating_sub(boot)),
        wall: at / 1_000,
        process: "rabbitmq".to_owned(),
        event,
    }));
    Ok(unknown_acks)
}

const NAMES: [&str; 5] = ["worker-0", "worker-1", "worker-2", "publisher-0", "publisher-1"];

/// One worker alone works on the serial queue, another one alone on the tasks that abort their process.
fn roles(args: &Args, lines: &BTreeMap<String, Lines>) -> Vec<Role> {
    let rate = args.rate.to_string();
    let role = |(name, lines): (&String, &Lines)| {
        let (kind, at) = name.split_once('-').unwrap_or((name, "0"));
        let arguments = match (kind, at) {
            ("worker", "0") => vec!["--queues=chaos-serial:1,chaos-quorum:40,chaos-classic:20".to_owned()],
            ("worker", "1") => vec!["--queues=chaos-quorum:40,chaos-classic:20".to_owned()],
            ("worker", _) => vec!["--queues=chaos-aborts:10,chaos-quorum:40,chaos-classic:20".to_owned()],
            _ => {
                // Each process in a place draws something else.
                let arguments = vec![format!("--seed={}{at}{{number}}", args.seed), format!("--rate={rate}")];
                let aborts = (at == "0" && !args.calm).then(|| "--aborts".to_owned());
                arguments.into_iter().chain(aborts).collect()
            }
        };
        let program = if kind == "worker" { "chaos-worker" } else { "chaos-publisher" };
        Role { name: name.clone(), program, arguments, brokers: lines.broker_urls(), results: lines.store_url() }
    };
    lines.iter().map(role).collect()
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
