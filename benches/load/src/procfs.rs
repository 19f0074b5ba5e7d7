//! What Linux shows of processes. Elsewhere there is nothing to see.

use std::{fs, path::Path};

/// Ticks per second in `/proc/PID/stat`, on every architecture that Linux still runs on.
const TICKS: f64 = 100.0;

/// In `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// CPU seconds that a process has used, all of its threads together.
pub(crate) fn cpu(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may contain anything but ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// Bytes of memory that a process has in use.
pub(crate) fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The process that listens on this port, if we may see it.
pub(crate) fn listener(port: u16) -> Option<u32> {
    let inodes: Vec<String> =
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().flat_map(|table| inodes(Path::new(table), port)).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid| holds(*pid, &inodes))
}

fn inodes(table: &Path, port: u16) -> Vec<String> {
    let wanted = format!(":{port:04X}");
    let text = fs::read_to_string(table).unwrap_or_default();
    let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields
        .filter(|fields| fields.len() > 9 && fields[1].ends_with(&wanted) && fields[3] == LISTENS)
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect()
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    targets.any(|target| sockets.iter().any(|socket| target == Path::new(socket)))
}

/// What the machine says about its processor and its memory.
pub(crate) fn machine() -> String {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpu, memory, kernel) = (text("/proc/cpuinfo"), text("/proc/meminfo"), text("/proc/sys/kernel/osrelease"));
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let gib = value(&memory, "MemTotal").trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) / 1024 / 1024;
    format!("{cores} x {}, {gib} GiB, Linux {}", value(&cpu, "model name"), kernel.trim())
}
