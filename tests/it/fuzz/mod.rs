//! DOS-04: what strangers send is read without a panic, without end and without measure, whatever it is.
//!
//! A seeded runner on the stable toolchain. `tests/run fuzz --minutes 10 [--seed 7]` runs it for long; a few seconds of it are
//! part of every run. It is deterministic: input n of a target depends on the seed, the target and n alone, so a failure is
//! run again by `AUTHD_FUZZ_SEED=… AUTHD_FUZZ_ONLY=target:n`. A new parser is one line in `targets`.

mod corpus;
mod mutate;
mod targets;

use std::io::{Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mutate::{Dice, mutate};
use targets::{Target, targets};

/// An input that takes longer to read is a failure. Of the processor's time: a busy machine is no fault of a parser.
const LONGEST: Duration = Duration::from_secs(1);
/// So much more memory than at the start may be held.
const MEMORY: u64 = 512 * 1024 * 1024;

fn told(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "what is run is told to the tests by the environment")]
    std::env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "how long to go on is real time")]
fn now() -> Instant {
    Instant::now()
}

/// What this thread has used of the processor.
fn used() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Where the input that is being read is named: a stack that overflows leaves no other word.
struct Mark(std::fs::File);

impl Mark {
    fn new() -> Self {
        let path = told("AUTHD_FUZZ_LAST").unwrap_or_else(|| {
            std::env::temp_dir().join(format!("authd-fuzz-{}", std::process::id())).to_string_lossy().into_owned()
        });
        Self(std::fs::File::create(path).unwrap())
    }

    fn set(&mut self, target: &str, n: u64) {
        let _ = self.0.rewind();
        let _ = self.0.write_all(format!("{target}:{n:<20}\n").as_bytes());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Input `n` of a target.
fn input(target: &Target, seed: u64, n: u64) -> Vec<u8> {
    if let Some(seed) = usize::try_from(n).ok().and_then(|n| target.seeds.get(n)) {
        // What it is made of comes first, as it is.
        return seed.clone();
    }
    let name = target
        .name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mutate(&mut Dice::new(seed ^ name ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15)), target)
}

fn one(target: &Target, seed: u64, n: u64) {
    let bytes = input(target, seed, n);
    let say = |what: &str| {
        panic!(
            "{what}: AUTHD_FUZZ_SEED={seed} AUTHD_FUZZ_ONLY={}:{n}, {} bytes: {}",
            target.name,
            bytes.len(),
            hex(&bytes)
        )
    };
    let (started, before) = (now(), used());
    if catch_unwind(AssertUnwindSafe(|| (target.read)(&bytes))).is_err() {
        say("a panic");
    }
    if started.elapsed() > LONGEST && used().saturating_sub(before) > LONGEST {
        say("more than a second");
    }
}

#[test]
fn dos_04_no_parser_fails_on_mutated_input() {
    let seconds = told("AUTHD_FUZZ_SECONDS").map_or(5, |text| text.parse().unwrap());
    let seed = told("AUTHD_FUZZ_SEED").map_or(1, |text| text.parse().unwrap());
    let targets = targets();
    if let Some(only) = told("AUTHD_FUZZ_ONLY") {
        let (name, n) = only.split_once(':').unwrap();
        let target = targets.iter().find(|target| target.name == name).unwrap();
        return one(target, seed, n.trim().parse().unwrap());
    }
    let (started, base, mut mark) = (now(), resident(), Mark::new());
    let mut counts = vec![0u64; targets.len()];
    // In turns of equal time, so that a slow parser does not take it all.
    let turn = Duration::from_millis(if seconds > 30 { 500 } else { 100 });
    while started.elapsed() < Duration::from_secs(seconds) {
        for (target, count) in targets.iter().zip(&mut counts) {
            let turn_began = now();
            while turn_began.elapsed() < turn && started.elapsed() < Duration::from_secs(seconds) {
                mark.set(target.name, *count);
                one(target, seed, *count);
                *count += 1;
            }
            let grown = resident().saturating_sub(base);
            assert!(grown < MEMORY, "{grown} bytes of memory after {}:{count}, seed {seed}", target.name);
        }
    }
    for (target, count) in targets.iter().zip(&counts) {
        println!("{:>10} {}", count, target.name);
        assert!(*count > 0, "{} had no turn", target.name);
    }
    println!("{:>10} inputs in {seconds} s, seed {seed}", counts.iter().sum::<u64>());
}

#[test]
fn the_runner_is_deterministic_and_finds_what_is_wrong() {
    let mut all = targets();
    for target in &all {
        for n in [0, 5, 1_000, 123_456] {
            assert_eq!(input(target, 7, n), input(target, 7, n), "{}:{n}", target.name);
        }
        assert_ne!(input(target, 7, 1_000), input(target, 8, 1_000), "{}", target.name);
    }
    // A reader that falls over what nests five deep is caught.
    let mut weak = all.swap_remove(0);
    weak.name = "weak";
    weak.read = Box::new(|bytes| assert!(!bytes.windows(5).any(|five| five == b"[[[[[")));
    let caught = catch_unwind(AssertUnwindSafe(|| (0..20_000).for_each(|n| one(&weak, 1, n))));
    let told = caught.unwrap_err().downcast::<String>().unwrap();
    assert!(told.contains("AUTHD_FUZZ_ONLY=weak:") && told.contains("5b5b5b5b5b"), "{told}");
}
