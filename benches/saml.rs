//! Validating a SAML answer, beside its floor and a peer, in one run: everything between the posted text and who it is
//! (parser, screen, signature, rules), against one RSA-2048 verification and nothing else, and against npm
//! `@node-saml/node-saml` on the same answer. Then what hostile posts cost.
//!
//! ```text
//! cargo bench --bench saml [-- --json] [--quick] [--rounds N]
//! ```
//!
//! One thread each, turn about. Aims: 5 times the peer; a hostile post costs under 5 ms of the processor and under 16 MiB.
//! The peer comes from `tests/lab` (`npm ci`); without it, its rows are left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]

mod measure;
#[path = "../tests/it/world/saml.rs"]
#[allow(dead_code, reason = "a bench uses its part of the test provider")]
mod provider;

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, Expect};
use authd::env::Timestamp;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use measure::{Aim, Plan, Report, Run, Stopwatch, ratio};
use provider::{Idp, Mode, each, pem, posted};
use serde_json::{Value, json};

/// How long each contender validates in a round.
const WORKING: Duration = Duration::from_millis(2_000);
/// What a hostile post may cost.
const MOST_TIME: f64 = 5.0;
const MOST_MEMORY: f64 = 16.0;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let plan = Plan::read();
    let idp = Idp::new();
    let mut report = Report::new("saml", "one thread");
    validations(&plan, &idp, &mut report);
    hostile(&idp, &mut report);
    report.print(&plan);
}

/// Runs something for a while.
fn run(plan: &Plan, mut once: impl FnMut()) -> Run {
    let working = WORKING.mul_f64(plan.scale);
    let watch = Stopwatch::start(std::process::id());
    let began = now();
    let mut count = 0;
    while began.elapsed() < working {
        once();
        count += 1;
    }
    watch.stop(count)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]
fn now() -> Instant {
    Instant::now()
}

/// The peer looks at the clock of the machine, so the answer is made for it.
#[expect(clippy::disallowed_methods, reason = "the peer has no other clock")]
fn today() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap())
}

fn validations(plan: &Plan, idp: &Idp, report: &mut Report) {
    // The moments of the test provider are those of its own day. An hour is longer than the bench.
    let moved = |from: i64, to: i64| {
        (provider::at(from), (today() + Duration::from_secs(u64::try_from(to).unwrap())).to_string())
    };
    let mut answer = idp.answer("ada@corp.example").mode(Mode::Assertion);
    for (from, to) in [moved(300, 3_600), moved(-60, 0), moved(0, 0)] {
        answer.assertion = answer.assertion.replace(&from, &to);
        answer.response = answer.response.replace(&from, &to);
    }
    let text = posted(&answer.xml());
    let expect = Expect { now: today(), ..idp.expect() };
    let read = |checks: &mut Checks| saml::read(&text, &expect, checks);
    assert!(read(&mut Checks::new()).is_ok(), "the answer is not accepted: {:?}", read(&mut Checks::new()));

    let message = vec![b'x'; 1_024];
    let signature = idp.key.sign(saml::names::RSA_SHA256, &message);
    let public = public_key(&idp.key.certificate);
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public);
    let mut peer = Peer::start(&json!({
        "answer": text, "certificate": pem(&idp.key.certificate), "issuer": idp.entity_id,
        "audience": idp.sp_entity_id, "acs": idp.acs_url,
    }));
    let (mut ours, mut raw, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        ours.push(run(plan, || drop(black_box(read(&mut Checks::new()).unwrap()))));
        raw.push(run(plan, || key.verify(black_box(&message), &signature).unwrap()));
        if let Some(peer) = &mut peer {
            theirs.push(peer.run(WORKING.mul_f64(plan.scale)));
        }
    }
    report.contender("authd", "authd, from the posted text to who it is", &ours);
    report.contender("rsa", "RSA-2048 verification alone", &raw);
    report.figure("of_rsa", "authd to RSA alone", ratio(&ours, &raw), "×", Aim::None);
    if theirs.is_empty() {
        report.heading("  npm @node-saml/node-saml is not there (npm ci in tests/lab)");
    } else {
        report.contender("node_saml", "npm @node-saml/node-saml", &theirs);
        report.figure("of_node_saml", "authd to node-saml", ratio(&ours, &theirs), "×", Aim::AtLeast(5.0));
    }
}

fn public_key(certificate: &[u8]) -> Vec<u8> {
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    parsed.public_key().subject_public_key.data.to_vec()
}

/// npm `@node-saml/node-saml` in a process of its own.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _file: tempfile::NamedTempFile,
}

impl Peer {
    fn start(given: &Value) -> Option<Self> {
        let lab = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
        if !lab.join("node_modules/@node-saml/node-saml").exists() {
            return None;
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{given}").unwrap();
        let mut child = Command::new("node")
            .arg("saml_peer.mjs")
            .arg(file.path())
            .current_dir(lab)
            .env("NODE_ENV", "production")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut peer = Self { child, input, output, _file: file };
        assert_eq!(peer.line(), "ready", "the peer does not take the answer");
        Some(peer)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn run(&mut self, working: Duration) -> Run {
        writeln!(self.input, "{}", working.as_millis()).unwrap();
        let told: Value = serde_json::from_str(&self.line()).unwrap();
        let time = |name: &str| Duration::from_secs_f64(told[name].as_f64().unwrap() / 1_000.0);
        Run {
            count: usize::try_from(told["count"].as_u64().unwrap()).unwrap(),
            wall: time("wallMs"),
            cpu: time("cpuMs"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a post costs that nobody has to be known for.
fn hostile(idp: &Idp, report: &mut Report) {
    report.heading("\n  hostile posts");
    let (mut slowest, mut largest) = (0.0_f64, 0.0_f64);
    for (name, text) in posts(idp) {
        let expect = idp.expect();
        let read = || {
            let outcome = saml::read(&text, &expect, &mut Checks::new());
            assert!(outcome.is_err(), "{name} is accepted");
            let _ = black_box(outcome);
        };
        let memory = needed(read);
        let time = each(read).as_secs_f64() * 1e3;
        (slowest, largest) = (slowest.max(time), largest.max(memory));
        report.heading(&format!("  {name:<44} {time:>9.3} ms CPU {memory:>8.2} MiB"));
    }
    report.figure("slowest_hostile", "the slowest", slowest, " ms", Aim::AtMost(MOST_TIME));
    report.figure("largest_hostile", "the largest", largest, " MiB", Aim::AtMost(MOST_MEMORY));
}

/// By how much the process grew at most, in MiB, while something ran. The kernel keeps the mark, and takes it back when told
/// (proc(5), `clear_refs`).
fn needed(work: impl Fn()) -> f64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    work();
    (status("VmHWM:") - before).max(0.0)
}

fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
}

/// As large as may be, each in another direction.
fn posts(idp: &Idp) -> Vec<(&'static str, String)> {
    const ROOM: usize = 190 * 1024;
    let good = idp.answer("ada@corp.example").mode(Mode::Both).xml();
    let in_status = |inside: String| posted(&good.replacen("Status>", &format!("Status>{inside}"), 1));
    let response = |attributes: &str, inside: &str| {
        posted(&format!(
            r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r" Version="2.0"{attributes}>{inside}</samlp:Response>"#
        ))
    };
    let many = |each: &dyn Fn(usize) -> String| {
        let mut out = String::new();
        for n in 0.. {
            let next = each(n);
            if out.len() + next.len() > ROOM {
                break;
            }
            out.push_str(&next);
        }
        out
    };
    let depth = ROOM / 7;
    let reference = r##"<ds:Reference URI="#_r"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/></ds:Transforms></ds:Reference>"##;
    let entities = many(&|n| format!("<!ENTITY a{n} \"&a{};&a{};\">", n + 1, n + 1));
    vec![
        ("text, no XML", "A".repeat(256 * 1024)),
        ("deep", response("", &format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth)))),
        ("deep, never closed", response("", &"<a>".repeat(2 * depth))),
        ("many elements", response("", &many(&|_| "<a/>".to_owned()))),
        ("many attributes of one", response(&many(&|n| format!(" a{n}=\"\"")), "")),
        ("one huge attribute", response(&format!(" a=\"{}\"", "x".repeat(ROOM)), "")),
        ("many namespaces of one", response(&many(&|n| format!(" xmlns:a{n}=\"u:{n}\"")), "")),
        ("namespaces on every element", response("", &many(&|n| format!("<b xmlns:a{n}=\"u:{n}\" a{n}:x=\"\"/>")))),
        (
            "references",
            response(
                "",
                &format!(
                    "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>{}</ds:SignedInfo></ds:Signature>",
                    many(&|_| reference.to_owned())
                ),
            ),
        ),
        ("character references", response("", &many(&|_| "&#65;".to_owned()))),
        ("entities", posted(&format!("<!DOCTYPE r [{entities}]><r>&a0;</r>"))),
        ("one huge text", response("", &"x".repeat(ROOM))),
        ("comments", response("", &many(&|_| "<!---->".to_owned()))),
        ("signed, and stuffed", in_status(many(&|n| format!("<x y=\"{n}\"/>")))),
        ("signed, and a long prefix", in_status(format!("<{0}:a xmlns:{0}=\"u:x\"/>", "p".repeat(ROOM / 2)))),
        ("a signature of nothing", posted(&good.replacen("DigestValue>", "DigestValue>AAAA", 1))),
        ("base64 of noise", STANDARD.encode(vec![0xfe; ROOM])),
    ]
}
