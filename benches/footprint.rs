//! What authd takes before anybody signs in: memory, the time until it serves, the size of the binary.
//!
//! ```text
//! cargo bench --bench footprint [-- --json] [--quick] [--rounds N]
//! ```
//!
//! Time runs from exec to the first 200 of `/readyz`, asked for again and again; a first start makes the database, the
//! master key and the signing key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]

mod measure;
mod wire;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use measure::{Aim, Plan, Report, as_f64, file_system, median, processors};
use wire::{Wire, get, terminate};

/// Starts per round; with the usual five rounds, twenty.
const STARTS: usize = 4;
const AUTHD: &str = env!("CARGO_BIN_EXE_authd");

fn main() {
    let plan = Plan::read();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(&plan));
}

async fn run(plan: &Plan) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for start in 0..plan.rounds * STARTS {
        let data = dir.path().join(start.to_string());
        for times in [&mut first, &mut again] {
            let (mut child, _, ms) = start_authd(&data).await;
            times.push(ms);
            terminate(&mut child);
        }
    }
    let (mut child, at, _) = start_authd(&dir.path().join("0")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (idle, idle_own) = (memory(&child, "VmRSS"), memory(&child, "RssAnon"));
    work(at).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let busy = memory(&child, "VmRSS");
    terminate(&mut child);

    let about = format!("{}, {} processors, {} starts", file_system(dir.path()), processors(), again.len());
    let mut report = Report::new("footprint", &about);
    report.figure("ready_ms", "from exec to ready", median(again.iter().copied()), " ms", Aim::AtMost(50.0));
    report.figure("ready_max_ms", "  the slowest", again.iter().copied().fold(0.0, f64::max), " ms", Aim::None);
    report.figure(
        "first_ready_ms",
        "from exec to ready, the first start",
        median(first.iter().copied()),
        " ms",
        Aim::None,
    );
    report.figure("idle_rss_mib", "memory, idle (RSS)", idle, " MiB", Aim::AtMost(20.0));
    report.figure("idle_anon_mib", "  of this not the binary itself", idle_own, " MiB", Aim::None);
    report.figure("worked_rss_mib", "memory after 20,000 requests", busy, " MiB", Aim::None);
    let size = as_f64(usize::try_from(std::fs::metadata(AUTHD).unwrap().len()).unwrap()) / MIB;
    report.figure("binary_mib", "binary, stripped", size, " MiB", Aim::AtMost(25.0));
    report.print(plan);
}

/// Starts authd and tells after how many milliseconds it was ready.
#[expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]
async fn start_authd(data: &Path) -> (Child, SocketAddr, f64) {
    let at = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap();
    let begun = Instant::now();
    let mut child = Command::new(AUTHD)
        .args(["serve", "--listen", &at.to_string(), "--data-dir"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        let ready = async { Wire::connect(at).await?.ask(&get(at, "/readyz")).await };
        if ready.await.is_ok_and(|status| status == 200) {
            return (child, at, begun.elapsed().as_secs_f64() * 1e3);
        }
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(30), "authd does not become ready: {ended:?}");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

/// What a server without people is asked most.
async fn work(at: SocketAddr) {
    let mut wires = Vec::new();
    for _ in 0..20 {
        wires.push(Wire::connect(at).await.unwrap());
    }
    let paths = ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/signin", "/healthz"];
    for turn in 0..1_000 {
        for wire in &mut wires {
            wire.ask(&get(at, paths[turn % paths.len()])).await.unwrap();
        }
    }
}

const MIB: f64 = 1024.0 * 1024.0;

/// A line of `/proc/<pid>/status`, in MiB.
fn memory(child: &Child, name: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    as_f64(kib * 1024) / MIB
}
