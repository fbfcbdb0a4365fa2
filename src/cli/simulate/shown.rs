//! A walk, to be read.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Play, Played, of};
use crate::cli::show::Paint;
use crate::console::escaped;
use crate::scim::simulate::Step;

/// So many characters of a body are shown; all of it is in the JSON.
const SHOWN: usize = 400;

/// The walk, to be read.
pub(super) fn shown(played: &Played, play: &Play<'_>, left: Option<&str>, paint: Paint) -> String {
    let (walked, url) = (&played.walk, &played.url);
    let mut out = String::new();
    let title = format!("{} provisions {}", play.vendor.title(), escaped(&play.connection));
    let _ = writeln!(out, "{} {}", paint.bold(&title), paint.dim(&format!("by {}", escaped(url))));
    let mut phase = None;
    for step in &walked.steps {
        if phase != Some(step.phase) {
            phase = Some(step.phase);
            let _ = writeln!(out, "\n{}", paint.bold(step.phase.name()));
        }
        one(&mut out, step, paint);
    }
    let failed = walked.steps.iter().filter(|step| !step.ok).count();
    let verdict = match (&walked.broken, failed) {
        (Some(why), _) => paint.red(&format!("Broken off after {} steps: {}", walked.steps.len(), escaped(why))),
        (None, 0) => paint.green(&format!("{} steps, all as {} needs them.", walked.steps.len(), play.vendor.title())),
        (None, _) => paint.red(&format!("{failed} of {} steps failed.", walked.steps.len())),
    };
    let left = match (left, play.keep, walked.people.len()) {
        (Some(left), ..) => paint.red(left),
        (None, true, people) => format!(
            "{} stay: `authd user list` shows them, `authd simulate scim --clear` removes them.",
            of(people, "person", "people")
        ),
        (None, false, _) => "Everybody was cleared away.".to_owned(),
    };
    let _ = write!(out, "\n{verdict} {left}");
    out
}

fn one(out: &mut String, step: &Step, paint: Paint) {
    let sign = if step.ok { paint.green("ok  ") } else { paint.red("FAIL") };
    let took = step.answer.millis.map(|millis| format!(" {millis} ms")).unwrap_or_default();
    let _ = writeln!(out, "  {sign} {}", step.about);
    let address = escaped(&decoded(&step.request.path));
    let status = step.answer.status.to_string();
    let status = if step.ok { paint.green(&status) } else { paint.red(&status) };
    let _ = writeln!(out, "       {} {address}  {} {status}{}", step.request.method, paint.dim("→"), paint.dim(&took));
    for (arrow, body) in [(">", step.request.body.as_ref()), ("<", Some(&step.answer.body))] {
        if let Some(body) = body.filter(|body| !body.is_null()) {
            let _ = writeln!(out, "       {}", paint.dim(&format!("{arrow} {}", shortened(body))));
        }
    }
    for problem in &step.problems {
        let _ = writeln!(out, "       {}", paint.red(&escaped(problem)));
    }
}

/// As people read it: what is percent-encoded in a query, plain.
fn decoded(path: &str) -> String {
    let Some((before, query)) = path.split_once('?') else { return path.to_owned() };
    let parts = url::form_urlencoded::parse(query.as_bytes());
    let parts: Vec<String> = parts.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{before}?{}", parts.join("&"))
}

fn shortened(body: &Value) -> String {
    let text = body.to_string();
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    escaped(&short)
}
