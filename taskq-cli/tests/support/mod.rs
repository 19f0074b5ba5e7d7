//! A user's crate in a temporary directory, and `taskq` running there.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Builds are slow, and wait for each other.
const PATIENCE: Duration = Duration::from_secs(300);

/// The workspace of this package.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A directory of one test.
pub(crate) struct Place(PathBuf);

impl Place {
    /// An empty directory with no crate around it. It is left behind, empty.
    pub(crate) fn outside() -> Self {
        let path = std::env::temp_dir().join("taskq-cli-outside");
        fs::create_dir_all(&path).unwrap();
        Place(path.canonicalize().unwrap())
    }

    /// A crate `my-app` that depends on `taskq`, with these sources. Every test has a `name` of its own, the same in
    /// every run of this build directory: its build takes the place of the one before.
    pub(crate) fn with_crate(name: &str, sources: &[(&str, &str)]) -> Self {
        Place::with_manifest(name, &manifest(""), sources)
    }

    pub(crate) fn with_manifest(name: &str, manifest: &str, sources: &[(&str, &str)]) -> Self {
        let mut build = DefaultHasher::new();
        env!("CARGO_TARGET_TMPDIR").hash(&mut build);
        // Not in the build directory itself, where `--reload` sees no changes.
        let path = std::env::temp_dir().join(format!("taskq-cli-{:016x}", build.finish())).join(name);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(&path).unwrap();
        let place = Place(path.canonicalize().unwrap());
        place.write("Cargo.toml", manifest);
        // The versions that the workspace has, so that nothing is downloaded.
        fs::copy(workspace().join("Cargo.lock"), place.path().join("Cargo.lock")).unwrap();
        for (name, text) in sources {
            place.write(name, text);
        }
        place
    }

    /// The crate of `my_app.rs`.
    pub(crate) fn with_my_app(name: &str) -> Self {
        Place::with_crate(name, &[("src/lib.rs", include_str!("my_app.rs"))])
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let file = self.0.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// `taskq` in this place.
    pub(crate) fn taskq(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taskq"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        // What the workspace has built already need not be built again.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        command.env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true").env("CARGO_TERM_COLOR", "never");
        for variable in ["CONCURRENCY", "QUEUES", "WORKERS", "SHUTDOWN_TIMEOUT", "TASK_TIMEOUT", "LOG_FORMAT"] {
            command.env_remove(format!("TASKQ_{variable}"));
        }
        command.env_remove("RUST_LOG");
        command
    }

    /// Runs `taskq` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::new(self.taskq(arguments).output().unwrap())
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::new(self.taskq(arguments))
    }
}

/// The manifest of `my-app`, with more of it at the end.
pub(crate) fn manifest(more: &str) -> String {
    format!(
        "[package]\nname = \"my-app\"\nversion = \"1.2.3\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         taskq = {{ package = \"taskq\", path = {:?}, default-features = false, features = [\"worker-main\"] }}\n\
         tokio = {{ version = \"1\", features = [\"rt\"] }}\n{more}",
        workspace()
    )
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The command's own error, after what cargo says.
    pub(crate) fn error(&self) -> &str {
        self.stderr.rfind("\nerror: ").map_or(&self.stderr, |at| &self.stderr[at + 1..])
    }
}

/// A command that runs on, with what it says line by line. Ended when the value goes.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    /// Two outputs have no order between them: a line may be asked for after a later one.
    unclaimed: Vec<String>,
}

impl Running {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
            });
        }
        Running { child, lines, said: Vec::new(), unclaimed: Vec::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A line that contains `text`, and that was not asked for before.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.unclaimed.iter().position(|line| line.contains(text)) {
                return self.unclaimed.remove(at);
            }
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    self.unclaimed.push(line);
                }
                Err(RecvTimeoutError::Timeout) => panic!("no line with {text:?} in time; said: {:#?}", self.said),
                Err(RecvTimeoutError::Disconnected) => panic!("no line with {text:?}; said: {:#?}", self.said),
            }
        }
    }

    /// All that was said, once it has ended.
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "still running; said: {:#?}", self.said);
            thread::sleep(Duration::from_millis(20));
        };
        // Ends when the last process that holds the output is gone.
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        (status, std::mem::take(&mut self.said))
    }

    pub(crate) fn terminate(&self) {
        signal("TERM", self.id());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed: its workers hang on this process and end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(name: &str, process: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().unwrap();
    assert!(status.success(), "kill -{name} {process}");
}

/// The number after `process=` in a log line.
pub(crate) fn process_in(line: &str) -> u32 {
    let number = line.split("process=").nth(1).unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}
