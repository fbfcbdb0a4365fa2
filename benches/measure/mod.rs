//! What every bench does: alternate rounds, medians, processor time, a small table, one line of JSON.

#![allow(dead_code, reason = "each bench uses its part")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// How the bench was called.
pub struct Plan {
    /// Rounds; in each, every contender runs once.
    pub rounds: usize,
    /// What a contender does per round is multiplied by this.
    pub scale: f64,
    json: bool,
}

impl Plan {
    /// Reads `--rounds N`, `--quick`, `--json`; what `cargo bench` adds is passed over.
    pub fn read() -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let quick = args.iter().any(|arg| arg == "--quick");
        let rounds = args.windows(2).find(|pair| pair[0] == "--rounds").and_then(|pair| pair[1].parse().ok());
        Self {
            rounds: rounds.unwrap_or(if quick { 2 } else { 5 }),
            scale: if quick { 0.25 } else { 1.0 },
            json: args.iter().any(|arg| arg == "--json"),
        }
    }

    /// So many, scaled.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    pub fn scaled(&self, count: usize) -> usize {
        (as_f64(count) * self.scale) as usize
    }
}

/// What one run of a contender came to.
#[derive(Clone, Copy)]
pub struct Run {
    /// Things done.
    pub count: usize,
    /// How long it took.
    pub wall: Duration,
    /// Processor time of the process that did them.
    pub cpu: Duration,
}

impl Run {
    /// Things a second.
    pub fn rate(&self) -> f64 {
        as_f64(self.count) / self.wall.as_secs_f64()
    }

    /// Microseconds of processor time for one.
    pub fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / as_f64(self.count)
    }
}

/// Wall and processor time of a process since it was started.
pub struct Stopwatch {
    process: u32,
    begun: Instant,
    cpu: Duration,
}

impl Stopwatch {
    /// Starts it for a process.
    #[expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]
    pub fn start(process: u32) -> Self {
        Self { process, cpu: cpu_of(process), begun: Instant::now() }
    }

    /// What passed while so many things were done.
    pub fn stop(self, count: usize) -> Run {
        let wall = self.begun.elapsed();
        Run { count, wall, cpu: cpu_of(self.process).saturating_sub(self.cpu) }
    }
}

/// The processor time of a process and all its threads, also those that have ended, in steps of 10 ms.
fn cpu_of(process: u32) -> Duration {
    // What follows the name in brackets is numbered from 3 on; 14 and 15 are user and system time (proc(5)).
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(14 - 3).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    // The kernel tells user space hundredths of a second whatever its own tick is.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Round by round, how much the one does of what the other does; the middle of that.
pub fn ratio(of: &[Run], to: &[Run]) -> f64 {
    median(of.iter().zip(to).map(|(of, to)| of.rate() / to.rate()))
}

/// Exact for anything that a bench counts.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
pub fn as_f64(count: usize) -> f64 {
    count as f64
}

/// How many threads the machine runs at once.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The kind of file system that a path is on, as the kernel names it.
pub fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fitting = mounts.lines().filter_map(|line| {
        let mut parts = line.split(' ').skip(1);
        let (at, kind) = (parts.next()?, parts.next()?);
        path.starts_with(at).then(|| (at.len(), kind.to_owned()))
    });
    fitting.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

/// What a bench found, for people and for machines.
pub struct Report {
    text: String,
    facts: Map<String, Value>,
}

impl Report {
    /// Of the bench of that name; `about` says on what it ran.
    pub fn new(bench: &'static str, about: &str) -> Self {
        let text = format!("cargo bench --bench {bench}   ({about})\n\n");
        let mut facts = Map::new();
        facts.insert("bench".into(), bench.into());
        facts.insert("command".into(), format!("cargo bench --bench {bench}").into());
        facts.insert("on".into(), about.into());
        Self { text, facts }
    }

    /// A line above or between the figures.
    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    /// A contender: rate and processor time of one, both the middle of its rounds.
    pub fn contender(&mut self, name: &str, label: &str, runs: &[Run]) {
        let (rate, cpu) = (median(runs.iter().map(Run::rate)), median(runs.iter().map(Run::cpu_each)));
        let _ = writeln!(self.text, "  {label:<44} {rate:>9.0} /s  {cpu:>8.1} µs CPU each");
        self.facts.insert(name.to_owned(), json!({"per_second": rate.round(), "cpu_us": tenths(cpu)}));
    }

    /// A figure with what we aim at. Answers nothing: a bench measures, people judge.
    pub fn figure(&mut self, name: &str, label: &str, value: f64, unit: &str, aim: Aim) {
        let (met, aim) = match aim {
            Aim::AtLeast(aim) => (value >= aim, format!("aim ≥ {aim}{unit}")),
            Aim::AtMost(aim) => (value <= aim, format!("aim ≤ {aim}{unit}")),
            Aim::None => (true, String::new()),
        };
        let shown = format!("{value:.2}{unit}");
        let verdict = if met { "" } else { "   MISSED" };
        let _ = writeln!(self.text, "  {label:<44} {shown:>12}  {aim}{verdict}");
        self.facts
            .insert(name.to_owned(), json!({"value": hundredths(value), "unit": unit.trim(), "aim": aim, "met": met}));
    }

    /// Prints it; with `--json`, the last line is the same as one object.
    #[expect(clippy::print_stdout, reason = "a bench is there to print")]
    pub fn print(self, plan: &Plan) {
        println!("\n{}", self.text);
        if plan.json {
            println!("{}", Value::Object(self.facts));
        }
    }
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Aim {
    /// Not less.
    AtLeast(f64),
    /// Not more.
    AtMost(f64),
    /// It is there to be read with the others.
    None,
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
