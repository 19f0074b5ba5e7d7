//! All ledgers of a run put together: each task with its runs, each process with its life, each fault.

use crate::{
    clock::Instant,
    ledger::{self, Decision, Event, How, Line, Phase},
    plan::Plan,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// One run of the whole cast.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By tag.
    pub(crate) tasks: BTreeMap<String, Task>,
    /// By name.
    pub(crate) processes: HashMap<String, Life>,
    pub(crate) faults: BTreeMap<u32, Fault>,
    pub(crate) phases: BTreeMap<Phase, Instant>,
    pub(crate) memory: Vec<(String, Instant, u64)>,
    pub(crate) lines: Vec<Line>,
    /// Tags by id.
    tags: HashMap<String, String>,
}

/// One task, as its publisher and its workers saw it.
#[derive(Debug, Default)]
pub(crate) struct Task {
    pub(crate) tag: String,
    /// None if a run of it has no publisher.
    pub(crate) plan: Option<Plan>,
    pub(crate) publisher: String,
    pub(crate) submitted: Instant,
    pub(crate) submitted_wall: u64,
    pub(crate) answer: Answer,
    pub(crate) id: Option<String>,
    /// By their start.
    pub(crate) runs: Vec<Run>,
    pub(crate) settlements: Vec<Settlement>,
    /// When a waiter gave up.
    pub(crate) not_heard: Option<Instant>,
}

/// What the library told the publisher, in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Answer {
    /// The publisher was killed before it heard.
    #[default]
    None,
    Confirmed,
    Refused,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) process: String,
    pub(crate) attempt: u32,
    pub(crate) start: Instant,
    pub(crate) start_wall: u64,
    pub(crate) end: Option<(Instant, How)>,
}

/// A process hears by then at the latest that a connection of its own has ended.
const HEARTBEATS: Duration = Duration::from_secs(25);

/// A verdict that was carried out, or a message that was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settlement {
    pub(crate) process: String,
    pub(crate) at: Instant,
    pub(crate) acked: bool,
    pub(crate) verdict: Option<Decision>,
}

/// One process.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// When it was killed, aborted or ended.
    pub(crate) ended: Option<Instant>,
    /// From when until when it was stopped as a debugger does.
    pub(crate) frozen: Vec<(Instant, Option<Instant>)>,
    /// One of its own tasks ended it, which needs no fault.
    pub(crate) was_ended_by_a_task: bool,
    /// When a connection that it consumes on was lost, as seen by itself, the broker or the line between them.
    pub(crate) lost: Vec<Instant>,
    /// When the broker ended such a connection, of which the process may hear later: what comes by it meanwhile was given to
    /// somebody else.
    pub(crate) ended_there: Vec<Instant>,
    /// When the process heard of such an end.
    pub(crate) heard_of_end: Vec<Instant>,
    /// When a claim was not renewed, by id.
    pub(crate) not_renewed: HashMap<String, Vec<Instant>>,
    /// When a run was last about to be claimed or, of a suspect, to begin here, by id.
    pub(crate) about_to_begin: HashMap<String, Instant>,
    /// Ids of runs that it left to others, or gave back.
    pub(crate) gave_way: BTreeSet<String>,
}

impl Life {
    fn hear_of_end(&mut self, at: Instant) {
        self.lost.push(at);
        self.heard_of_end.push(at);
    }

    /// When the broker had ended the connection by which a run came that began then; `None` if it had not.
    pub(crate) fn ended_before(&self, start: Instant) -> Option<Instant> {
        let ended = self.ended_there.iter().copied().filter(|ended| *ended <= start).max()?;
        let is_heard_of = self.heard_of_end.iter().any(|heard| (ended..=start).contains(heard));
        (!is_heard_of && start.since(ended) <= HEARTBEATS).then_some(ended)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: String,
    pub(crate) target: String,
    pub(crate) in_flight: usize,
    pub(crate) began: Instant,
    pub(crate) ended: Option<Instant>,
    pub(crate) failed: bool,
}

impl History {
    pub(crate) fn new(mut lines: Vec<Line>) -> History {
        lines.sort_by_key(|line| line.at);
        let mut history = History::default();
        // First of all: lines of workers name tasks by id, and may have been written before their publisher's.
        for line in &lines {
            if let Event::Confirmed { tag, id } | Event::Start { tag, id, .. } = &line.event {
                history.tags.insert(id.clone(), tag.clone());
            }
        }
        let mut decided = HashMap::new();
        for line in &lines {
            history.see_publisher(line);
            history.see_run(line, &mut decided);
            history.see_process(line);
            history.see_fault(line);
        }
        history.lines = lines;
        history
    }

    /// Of all tasks that may have been sent.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        self.tasks.values().filter_map(|task| task.id.clone()).collect()
    }

    /// The lines that name a task.
    pub(crate) fn timeline(&self, tag: &str) -> Vec<&Line> {
        let id = self.tasks.get(tag).and_then(|task| task.id.as_deref());
        self.lines
            .iter()
            .filter(|line| subject(&line.event).is_some_and(|name| name == tag || Some(name) == id))
            .collect()
    }

    /// When a run was over: by its own word, or with its process.
    pub(crate) fn end_of(&self, run: &Run) -> Option<Instant> {
        let death = self.processes.get(&run.process).and_then(|life| life.ended);
        run.end.map(|(at, _)| at).into_iter().chain(death).min()
    }

    fn task(&mut self, tag: &str) -> &mut Task {
        self.tasks.entry(tag.to_owned()).or_insert_with(|| Task { tag: tag.to_owned(), ..Task::default() })
    }

    fn see_publisher(&mut self, line: &Line) {
        match &line.event {
            Event::Submit { tag, plan } => {
                let publisher = line.process.clone();
                let task = self.task(tag);
                (task.plan, task.publisher) = (Some(*plan), publisher);
                (task.submitted, task.submitted_wall) = (line.at, line.wall);
                if plan.own_id {
                    task.id = Some(tag.clone());
                }
            }
            Event::Confirmed { tag, id } => {
                let task = self.task(tag);
                (task.answer, task.id) = (Answer::Confirmed, Some(id.clone()));
            }
            Event::Unknown { tag, .. } => self.answered(tag, Answer::Unknown),
            Event::Refused { tag, .. } => self.answered(tag, Answer::Refused),
            Event::NotHeard { tag, .. } => self.task(tag).not_heard = Some(line.at),
            _ => {}
        }
    }

    /// A refusal of the second try leaves the first one in doubt.
    fn answered(&mut self, tag: &str, answer: Answer) {
        let task = self.task(tag);
        if task.answer == Answer::None {
            task.answer = answer;
        }
    }

    fn see_run(&mut self, line: &Line, decided: &mut HashMap<(String, String, u32), Decision>) {
        let key = |id: &str, attempt: u32| (line.process.clone(), id.to_owned(), attempt);
        match &line.event {
            Event::Start { tag, id, attempt } => {
                let run = Run {
                    process: line.process.clone(),
                    attempt: *attempt,
                    start: line.at,
                    start_wall: line.wall,
                    end: None,
                };
                let task = self.task(tag);
                task.id.get_or_insert_with(|| id.clone());
                task.runs.push(run);
            }
            Event::End { tag, attempt, how } => {
                let is_this =
                    |run: &&mut Run| run.process == line.process && run.attempt == *attempt && run.end.is_none();
                if let Some(run) = self.task(tag).runs.iter_mut().rev().find(is_this) {
                    run.end = Some((line.at, *how));
                }
            }
            Event::Decided { id, attempt, verdict } => {
                decided.insert(key(id, *attempt), *verdict);
            }
            Event::Settled { id, attempt, acked } => {
                let verdict = decided.remove(&key(id, *attempt));
                let tag = self.tags.get(id).unwrap_or(id).clone();
                if let Some(task) = self.tasks.get_mut(&tag) {
                    let process = line.process.clone();
                    task.settlements.push(Settlement { process, at: line.at, acked: *acked, verdict });
                }
            }
            _ => {}
        }
    }

    fn life(&mut self, name: &str) -> &mut Life {
        self.processes.entry(name.to_owned()).or_default()
    }

    fn see_process(&mut self, line: &Line) {
        match &line.event {
            Event::Kill { name } | Event::Exited { name, .. } => {
                self.life(name).ended.get_or_insert(line.at);
            }
            Event::Abort { .. } => {
                let life = self.life(&line.process);
                life.ended.get_or_insert(line.at);
                life.was_ended_by_a_task = true;
            }
            Event::Frozen { name } => self.life(name).frozen.push((line.at, None)),
            Event::Thawed { name } => {
                if let Some((_, end @ None)) = self.life(name).frozen.last_mut() {
                    *end = Some(line.at);
                }
            }
            Event::LostConnection { connection } if connection.ends_with("/con") => {
                self.life(&line.process).hear_of_end(line.at);
            }
            Event::LostConsumer { .. } => self.life(&line.process).hear_of_end(line.at),
            Event::ConnectionEnded { name, reason } => {
                let life = self.life(name);
                life.lost.push(line.at);
                if reason != ledger::CUT_OFF {
                    life.ended_there.push(line.at);
                }
            }
            Event::NotRenewed { id } => {
                self.life(&line.process).not_renewed.entry(id.clone()).or_default().push(line.at);
            }
            Event::AboutToBegin { id } => {
                self.life(&line.process).about_to_begin.insert(id.clone(), line.at);
            }
            Event::TakenOver { id } | Event::Settled { id, acked: false, .. } => {
                self.life(&line.process).gave_way.insert(id.clone());
            }
            Event::Memory { name, kilobytes } => self.memory.push((name.clone(), line.at, *kilobytes)),
            _ => {}
        }
    }

    fn see_fault(&mut self, line: &Line) {
        match &line.event {
            Event::Phase { phase } => drop(self.phases.insert(*phase, line.at)),
            Event::FaultBegan { fault, kind, target, in_flight } => {
                let (kind, target) = (kind.clone(), target.clone());
                let fault_now =
                    Fault { kind, target, in_flight: *in_flight, began: line.at, ended: None, failed: false };
                self.faults.insert(*fault, fault_now);
            }
            Event::FaultFailed { fault, .. } => {
                if let Some(fault) = self.faults.get_mut(fault) {
                    fault.failed = true;
                }
            }
            Event::FaultEnded { fault } => {
                if let Some(fault) = self.faults.get_mut(fault) {
                    fault.ended = Some(line.at);
                }
            }
            _ => {}
        }
    }
}

/// The tag or the id that a line is about.
fn subject(event: &Event) -> Option<&str> {
    match event {
        Event::Submit { tag, .. }
        | Event::Confirmed { tag, .. }
        | Event::Refused { tag, .. }
        | Event::Unknown { tag, .. }
        | Event::Heard { tag, .. }
        | Event::NotHeard { tag, .. }
        | Event::Start { tag, .. }
        | Event::End { tag, .. }
        | Event::Abort { tag } => Some(tag),
        Event::Decided { id, .. }
        | Event::Settled { id, .. }
        | Event::NotRenewed { id }
        | Event::AboutToBegin { id }
        | Event::TakenOver { id } => Some(id),
        _ => None,
    }
}
