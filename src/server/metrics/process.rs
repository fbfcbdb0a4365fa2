//! What the kernel says of this process, under the names that every Prometheus client uses. Linux; elsewhere nothing.

use super::page::{Kind, Page, float};

/// Ticks a second in what the kernel tells to programs; it is 100 on every Linux.
const TICKS: f64 = 100.0;

/// Adds what is known.
pub fn tell(page: &mut Page) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process may have spaces and brackets in it; behind its last bracket there are only words.
    let words: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect()).unwrap_or_default();
    let word = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok());
    if let (Some(user), Some(system)) = (word(11), word(12)) {
        let seconds = float(user + system) / TICKS;
        page.family("process_cpu_seconds_total", Kind::Counter, "Time on processors, in seconds.").is(&[], seconds);
    }
    if let (Some(started), Some(boot)) = (word(19), boot()) {
        let seconds = boot + float(started) / TICKS;
        page.family("process_start_time_seconds", Kind::Gauge, "When the process began, in seconds since the epoch.")
            .is(&[], seconds);
    }
    if let Some(bytes) = word(20) {
        page.family("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory.").count(&[], bytes);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    if let Some(bytes) = resident.map(|kibibytes| kibibytes * 1024) {
        page.family("process_resident_memory_bytes", Kind::Gauge, "Memory in use.").count(&[], bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        let open = u64::try_from(open.count()).unwrap_or(u64::MAX);
        page.family("process_open_fds", Kind::Gauge, "Files and connections that are open.").count(&[], open);
    }
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        page.family("process_max_fds", Kind::Gauge, "Files and connections that may be open.").count(&[], most);
    }
    if let Some(threads) = word(17) {
        page.family("process_threads", Kind::Gauge, "Threads.").count(&[], threads);
    }
}

/// When the machine was started, in seconds since the epoch.
fn boot() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}
