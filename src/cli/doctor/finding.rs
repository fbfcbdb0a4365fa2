//! A finding, how bad it is, and how all of them are shown.

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::show::Paint;
use crate::console::escaped;
use crate::env::Timestamp;

/// How bad it is; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be, or nothing that could be looked at.
    Ok,
    /// It works, and will not for long, or not safely.
    Warn,
    /// It does not work, or is not safe.
    Fail,
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to type, or to do. None where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, message: message.into(), remedy: None }
    }

    /// It works, and needs care.
    pub fn warn(name: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, message: message.into(), remedy: Some(remedy.into()) }
    }

    /// It does not work.
    pub fn fail(name: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, message: message.into(), remedy: Some(remedy.into()) }
    }
}

/// How long until something ends, as a level: a week is the last moment, a month is time to act.
pub fn ends(now: Timestamp, at: Timestamp) -> (Level, i64) {
    let days = (at.seconds() - now.seconds()).div_euclid(86_400);
    let level = match days {
        ..=6 => Level::Fail,
        7..=29 => Level::Warn,
        _ => Level::Ok,
    };
    (level, days)
}

/// `2 days ago`, `today`, `in 2 days`.
pub fn in_days(days: i64) -> String {
    let plural = |days: i64| if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    match days {
        0 => "within a day".to_owned(),
        1.. => format!("in {}", plural(days)),
        _ => format!("{} ago", plural(-days)),
    }
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// For machines.
pub fn document(findings: &[Finding]) -> Value {
    let of = |level| count(findings, level);
    json!({
        "ok": of(Level::Fail) == 0,
        "counts": {"ok": of(Level::Ok), "warn": of(Level::Warn), "fail": of(Level::Fail)},
        "findings": findings,
    })
}

/// For a person: what is well first, what is wrong last, where the eye is when it has all gone by.
pub fn text(findings: &[Finding], paint: Paint, unicode: bool) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.level);
    let width = sorted.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in sorted {
        let mark = match (finding.level, unicode) {
            (Level::Ok, true) => paint.green("✔"),
            (Level::Ok, false) => paint.green("+"),
            (Level::Warn, _) => paint.yellow("!"),
            (Level::Fail, true) => paint.red("✘"),
            (Level::Fail, false) => paint.red("x"),
        };
        let name = format!("{:width$}", finding.name);
        let name = if finding.level == Level::Ok { paint.dim(&name) } else { paint.bold(&name) };
        lines.push(format!("{mark} {name}  {}", escaped(&finding.message)));
        if let Some(remedy) = &finding.remedy {
            let arrow = if unicode { "→" } else { "->" };
            lines.push(format!("  {:width$}  {arrow} {}", "", paint.cyan(&escaped(remedy))));
        }
    }
    let of = |level| count(findings, level);
    let (fails, warns) = (of(Level::Fail), of(Level::Warn));
    let some = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{number} {what}s")),
    };
    let told: Vec<String> = [some(fails, "failure"), some(warns, "warning")].into_iter().flatten().collect();
    let summary = match told.is_empty() {
        true => paint.green(&format!("All {} checks are well.", findings.len())),
        false => {
            let text = format!("{}; {} of {} checks are well.", told.join(", "), of(Level::Ok), findings.len());
            if fails > 0 { paint.red(&text) } else { paint.yellow(&text) }
        }
    };
    lines.push(String::new());
    lines.push(summary);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_warns_and_a_week_fails() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let day = |days: i64| ends(now, Timestamp::from_seconds(now.seconds() + days * 86_400));
        assert_eq!(day(60), (Level::Ok, 60));
        assert_eq!(day(30), (Level::Ok, 30));
        assert_eq!(day(29), (Level::Warn, 29));
        assert_eq!(day(7), (Level::Warn, 7));
        assert_eq!(day(6), (Level::Fail, 6));
        assert_eq!(day(-1), (Level::Fail, -1));
        assert_eq!(ends(now, Timestamp::from_seconds(now.seconds() - 1)), (Level::Fail, -1));
        assert_eq!(
            (in_days(0).as_str(), in_days(1).as_str(), in_days(-2).as_str()),
            ("within a day", "in 1 day", "2 days ago")
        );
    }

    #[test]
    fn the_worst_stands_last_above_the_summary_and_nobody_elses_text_commands_the_terminal() {
        let findings = [
            Finding::fail("b", "broken \u{1b}]0;owned\u{7}", "mend it"),
            Finding::ok("a", "fine"),
            Finding::warn("long_name", "soon", "do it"),
        ];
        let plain = text(&findings, Paint { color: false }, false);
        let lines: Vec<&str> = plain.lines().collect();
        assert_eq!(lines[0], "+ a          fine");
        assert_eq!(lines[1..3], ["! long_name  soon", "             -> do it"]);
        assert!(lines[3].starts_with("x b          broken") && !plain.contains('\u{1b}'), "{plain}");
        assert_eq!(lines.last(), Some(&"1 failure, 1 warning; 1 of 3 checks are well."));
        assert!(plain.is_ascii());
        assert!(text(&findings, Paint { color: false }, true).contains('✘'));
        assert_eq!(text(&findings[1..2], Paint { color: false }, true).lines().last(), Some("All 1 checks are well."));
        let told = document(&findings);
        assert_eq!((&told["ok"], &told["counts"]["warn"]), (&json!(false), &json!(1)));
        assert_eq!(
            told["findings"][2],
            json!({"name": "long_name", "level": "warn", "message": "soon", "remedy": "do it"})
        );
    }
}
