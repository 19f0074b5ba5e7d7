//! The publisher and worker processes: started, spoiled by their names, and started again when they end.

use crate::{
    cast,
    clock::Instant,
    ledger::{Event, Ledger},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
};

/// What a supervisor takes to start a new process.
const REPLACING: Duration = Duration::from_millis(300);

/// One place in the cast.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) program: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) brokers: String,
    pub(crate) results: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Kill,
    Terminate,
    Freeze,
    Thaw,
    /// Ends it in an orderly way, and for good.
    End,
}

/// All processes of a run.
#[derive(Debug)]
pub(crate) struct Crew {
    orders: BTreeMap<String, mpsc::UnboundedSender<Order>>,
    keepers: Mutex<BTreeMap<String, JoinHandle<()>>>,
    present: Present,
}

/// The processes that run at present, by place.
type Present = Arc<Mutex<BTreeMap<String, (String, u32)>>>;

impl Crew {
    pub(crate) fn start(roles: Vec<Role>, ledger: &Ledger, directory: &Path) -> Crew {
        let mut crew = Crew { orders: BTreeMap::new(), keepers: Mutex::default(), present: Present::default() };
        for role in roles {
            let (sender, orders) = mpsc::unbounded_channel();
            crew.orders.insert(role.name.clone(), sender);
            let name = role.name.clone();
            let keeper = Keeper {
                role,
                orders,
                ledger: ledger.clone(),
                directory: directory.to_owned(),
                present: crew.present.clone(),
            };
            let keeping = tokio::spawn(keeper.keep());
            crew.keepers.lock().unwrap_or_else(PoisonError::into_inner).insert(name, keeping);
        }
        crew
    }

    pub(crate) fn order(&self, name: &str, order: Order) {
        if let Some(orders) = self.orders.get(name) {
            // One that has ended for good takes no orders.
            let _ = orders.send(order);
        }
    }

    /// Ends those whose name begins so, and waits for them.
    pub(crate) async fn end(&self, prefix: &str) {
        let names: Vec<&String> = self.orders.keys().filter(|name| name.starts_with(prefix)).collect();
        names.iter().for_each(|name| self.order(name, Order::End));
        for name in names {
            let keeping = self.keepers.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
            if let Some(keeping) = keeping {
                // A panic of the keeper would be this program's own mistake, and shows on stderr.
                let _ = keeping.await;
            }
        }
    }

    /// Names and ids of the processes that run now.
    pub(crate) fn present(&self) -> Vec<(String, u32)> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

struct Keeper {
    role: Role,
    orders: mpsc::UnboundedReceiver<Order>,
    ledger: Ledger,
    directory: PathBuf,
    present: Present,
}

impl Keeper {
    async fn keep(mut self) {
        for number in 1.. {
            let name = format!("{}.{number}", self.role.name);
            let child = match self.spawn(&name, number) {
                Ok(child) => child,
                Err(error) => {
                    eprintln!("error: {name} cannot be started: {error}");
                    return;
                }
            };
            let is_over = self.attend(&name, child).await;
            self.present.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.role.name);
            if is_over {
                return;
            }
            tokio::time::sleep(REPLACING).await;
        }
    }

    fn spawn(&self, name: &str, number: u32) -> io::Result<Child> {
        let logs = self.directory.join("logs");
        fs::create_dir_all(&logs)?;
        let log = File::create(logs.join(format!("{name}.log")))?;
        let program = env::current_exe()?.with_file_name(self.role.program);
        let child = Command::new(program)
            .args(self.role.arguments.iter().map(|argument| argument.replace("{number}", &number.to_string())))
            .env(cast::PROCESS, name)
            .env(cast::LEDGERS, self.directory.join("ledgers"))
            .env(cast::BROKERS, &self.role.brokers)
            .env(cast::RESULTS, &self.role.results)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().unwrap_or_default();
        self.ledger.note(Event::Spawned { name: name.to_owned(), pid });
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.insert(self.role.name.clone(), (name.to_owned(), pid));
        Ok(child)
    }

    /// Until it has ended: whether it is not to be replaced.
    async fn attend(&mut self, name: &str, mut child: Child) -> bool {
        let mut is_over = false;
        loop {
            tokio::select! {
                status = child.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    self.ledger.note(Event::Exited { name: name.to_owned(), status });
                    return is_over;
                }
                order = self.orders.recv() => match order {
                    Some(order) => {
                        is_over |= order == Order::End;
                        self.carry_out(name, &child, order);
                    }
                    None => return true,
                },
            }
        }
    }

    fn carry_out(&self, name: &str, child: &Child, order: Order) {
        let name = name.to_owned();
        match order {
            Order::Kill => {
                self.ledger.note(Event::Kill { name });
                send(child, Signal::KILL);
            }
            Order::Freeze => {
                self.ledger.note(Event::Frozen { name });
                send(child, Signal::STOP);
            }
            Order::Thaw => {
                send(child, Signal::CONT);
                self.ledger.note(Event::Thawed { name });
            }
            Order::Terminate | Order::End => {
                send(child, Signal::CONT);
                send(child, Signal::TERM);
            }
        }
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).unwrap_or_default()));
    if let Some(pid) = pid {
        // It was not waited for, so the number is still its own; one that has just ended hears nothing.
        let _ = kill_process(pid, signal);
    }
}

/// Notes the memory of all processes.
pub(crate) fn note_memory(crew: &Crew, ledger: &Ledger) {
    for (name, pid) in crew.present() {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().trim_end_matches(" kB").trim().parse().ok());
        if let Some(kilobytes) = kilobytes {
            ledger.note_at(Instant::now(), Event::Memory { name, kilobytes });
        }
    }
}
