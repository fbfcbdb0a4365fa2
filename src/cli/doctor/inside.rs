//! What authd itself knows, judged.

use super::Place;
use super::finding::{Finding, Level, ends, in_days};
use crate::care::Ending;
use crate::care::examine::{Examined, Losing, Unproved, Unwell};
use crate::env::Timestamp;

/// A backup that is older is no backup of today's trouble.
const BACKUP_DAYS: i64 = 7;
/// Fewer open files than this are fewer people than a small team.
const FILES_FAIL: u64 = 256;
const FILES_WARN: u64 = 1_024;

/// Everything that follows from what authd knows.
pub fn judge(place: &Place, seen: &Examined) -> Vec<Finding> {
    let mut findings = vec![
        storage(seen.trouble.as_deref()),
        master_key(place, &seen.master_key.fingerprint, seen.master_key.unfinished),
        files(seen.file_limit),
        backup(place, seen.now, seen.first_event_at, seen.backup_at),
    ];
    findings.extend(connections(place, &seen.unwell));
    findings.extend(domains(place, seen.now, &seen.unproved, &seen.losing));
    findings.extend(endings(place, seen.now, &seen.ending));
    findings
}

/// What of a running server's own checks nothing else here tells: whether what has to go out goes out, and its clock.
pub fn running(place: &Place, told: &serde_json::Value) -> Vec<Finding> {
    let checks = told["checks"].as_array().into_iter().flatten();
    let name = |check: &serde_json::Value| match check["name"].as_str() {
        Some("deliveries") => Some(("deliveries", "What has to be delivered is delivered.")),
        Some("shipping") => Some(("shipping", "The log arrives where it is sent.")),
        Some("storage_speed") => Some(("storage_speed", "Durable writes are fast enough.")),
        Some("clock") => Some(("running_clock", "The clock goes evenly since authd started.")),
        _ => None,
    };
    let judged = checks.filter_map(|check| {
        let (name, well) = name(check)?;
        if check["ok"].as_bool() == Some(true) {
            return Some(Finding::ok(name, well));
        }
        let message = crate::console::escaped(check["message"].as_str().unwrap_or("It is not well."));
        let remedy = match name {
            "deliveries" => place.say("webhook list"),
            "shipping" => "look at the receiver, and at `ship` in the configuration".to_owned(),
            "running_clock" => "let one service set the clock: timedatectl".to_owned(),
            _ => "look at the disk: iostat -x 1".to_owned(),
        };
        Some(Finding::warn(name, message, remedy))
    });
    judged.collect()
}

fn storage(trouble: Option<&str>) -> Finding {
    match trouble {
        None => Finding::ok("database", "The database opens, and its last write went well."),
        Some("storage_full") => {
            Finding::fail("database", "The last write was refused: the disk is full.", "free some space: df -h")
        }
        Some(code) => Finding::fail(
            "database",
            format!("The last write failed ({code})."),
            "look at the log of the server, and at the disk: dmesg | tail",
        ),
    }
}

fn master_key(place: &Place, fingerprint: &str, unfinished: bool) -> Finding {
    match unfinished {
        false => Finding::ok("master_key", format!("The master key {fingerprint} fits the database.")),
        true => Finding::warn(
            "master_key",
            "A rotation of the master key was begun and has not ended: both keys are needed.",
            place.say("master-key rotate"),
        ),
    }
}

fn files(limit: Option<u64>) -> Finding {
    let remedy = "LimitNOFILE=65536 in the [Service] of its unit, or `ulimit -n 65536` before it starts";
    match limit {
        Some(limit) if limit < FILES_FAIL => {
            Finding::fail("open_files", format!("Only {limit} files and connections may be open."), remedy)
        }
        Some(limit) if limit < FILES_WARN => {
            Finding::warn("open_files", format!("Only {limit} files and connections may be open."), remedy)
        }
        Some(limit) => Finding::ok("open_files", format!("{limit} files and connections may be open.")),
        None => Finding::ok("open_files", "Any number of files and connections may be open."),
    }
}

fn backup(place: &Place, now: Timestamp, first: Option<Timestamp>, last: Option<Timestamp>) -> Finding {
    let days = |at: Timestamp| i64::try_from(now.since(at).as_secs() / 86_400).unwrap_or(i64::MAX);
    let remedy = place.say("backup FILE");
    match (last.map(days), first.map(days)) {
        (Some(ago), _) if ago <= BACKUP_DAYS => {
            Finding::ok("backup", format!("The last backup was made {}.", in_days(-ago)))
        }
        (None, None | Some(..=BACKUP_DAYS)) => {
            Finding::ok("backup", "There is no backup yet, and not much that could be lost.")
        }
        _ => Finding::warn("backup", format!("No backup was made for more than {BACKUP_DAYS} days."), remedy),
    }
}

fn connections(place: &Place, unwell: &[Unwell]) -> Vec<Finding> {
    if unwell.is_empty() {
        return vec![Finding::ok(
            "connections",
            "Every connection that is switched on is ready, and its provider answered.",
        )];
    }
    let mut findings = Vec::new();
    for Unwell { id, name, lacks, silent_since, demo } in unwell {
        if *demo {
            findings.push(Finding::warn(
                "demo",
                format!("The connection {id} of the demo is switched on: it lets everybody in."),
                place.say(&format!("connection disable {id}")),
            ));
        }
        if let Some(lacks) = lacks {
            findings.push(Finding::fail(
                "connections",
                format!("{name} ({id}) is switched on, and nobody can sign in: {lacks}"),
                place.say(&format!("connection validate {id}")),
            ));
        } else if let Some(since) = silent_since {
            findings.push(Finding::warn(
                "connections",
                format!("The provider of {name} ({id}) did not answer at the last look, {since}."),
                place.say(&format!("connection test {id}")),
            ));
        }
    }
    findings
}

fn domains(place: &Place, now: Timestamp, unproved: &[Unproved], losing: &[Losing]) -> Vec<Finding> {
    if unproved.is_empty() && losing.is_empty() {
        return vec![Finding::ok("domains", "Every domain of a connection that is switched on is proved.")];
    }
    let told = |it: &Unproved| {
        let Unproved { domain, connection, challenge_until } = it;
        match challenge_until.filter(|until| *until > now) {
            Some(until) => Finding::warn(
                "domains",
                format!("{domain} is not proved; its challenge can be answered until {until}."),
                place.say(&format!("domain verify --connection {connection} --domain {domain}")),
            ),
            None => Finding::warn(
                "domains",
                format!("{domain} is not proved, and its challenge has expired."),
                place.say(&format!("domain request --connection {connection} --domain {domain}")),
            ),
        }
    };
    let gone = |it: &Losing| {
        let Losing { domain, connection, since, loses_at } = it;
        let remedy = place.say(&format!("domain status --connection {connection}"));
        let lost = format!("The proof of {domain} is not in DNS since {since}");
        Finding::warn("domains", format!("{lost}; it routes nobody from {loses_at} on."), remedy)
    };
    unproved.iter().map(told).chain(losing.iter().map(gone)).collect()
}

/// An end of these is the matter of one machine, so it warns at most.
fn endings(place: &Place, now: Timestamp, ending: &[Ending]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Ending { kind, id, name, at } in ending {
        let (level, days) = ends(now, *at);
        let when = in_days(days);
        let (message, remedy) = match kind.as_str() {
            "app_secret" => (
                format!("The secret before the last one of the app {name} ({id}) ends {when}."),
                format!(
                    "make sure that the app uses the newer one, or: {}",
                    place.say(&format!("app rotate-secret {id}"))
                ),
            ),
            "scim_token" => (
                format!("The SCIM token {name} ({id}) ends {when}: the directory's changes would not arrive any more."),
                place.say("scim-token create --help"),
            ),
            "saml_certificate" => (
                format!("A certificate of the identity provider of {name} ({id}) ends {when}."),
                format!(
                    "read its metadata again once it has a new one: {}",
                    place.say(&format!("connection validate {id}"))
                ),
            ),
            _ => (
                format!("The API key {name} ({id}) ends {when}."),
                place.say("api-key create --name NAME --grant GRANT --org ORG"),
            ),
        };
        findings.push(match level {
            Level::Ok => Finding::ok("expiring", message),
            _ => Finding::warn("expiring", message, remedy),
        });
    }
    if findings.is_empty() {
        findings
            .push(Finding::ok("expiring", "No key, secret, token or certificate of a provider ends within 60 days."));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    fn at(days: i64) -> Timestamp {
        Timestamp::from_seconds(now().seconds() + days * DAY)
    }

    fn place() -> Place {
        Place::of(&crate::config::DataDir::new("/d"))
    }

    #[test]
    fn storage_keys_and_files_have_their_levels() {
        assert_eq!(storage(None).level, Level::Ok);
        assert_eq!(storage(Some("storage_full")).level, Level::Fail);
        assert_eq!(storage(Some("storage_error")).level, Level::Fail);
        assert_eq!(master_key(&place(), "x", false).level, Level::Ok);
        assert_eq!(master_key(&place(), "x", true).remedy.as_deref(), Some("authd --data-dir /d master-key rotate"));
        for (limit, level) in
            [(None, Level::Ok), (Some(4_096), Level::Ok), (Some(512), Level::Warn), (Some(64), Level::Fail)]
        {
            assert_eq!(files(limit).level, level, "{limit:?}");
        }
    }

    #[test]
    fn a_week_without_a_backup_is_told_once_there_is_something_to_lose() {
        let level = |first: Option<i64>, last: Option<i64>| backup(&place(), now(), first.map(at), last.map(at)).level;
        assert_eq!(level(None, None), Level::Ok);
        assert_eq!(level(Some(-2), None), Level::Ok);
        assert_eq!(level(Some(-100), Some(-7)), Level::Ok);
        assert_eq!(level(Some(-100), Some(-8)), Level::Warn);
        assert_eq!(level(Some(-8), None), Level::Warn);
    }

    #[test]
    fn connections_and_domains_name_what_mends_them() {
        assert_eq!(connections(&place(), &[])[0].level, Level::Ok);
        let well = Unwell { id: "conn_1".into(), name: "A".into(), lacks: None, silent_since: None, demo: false };
        let lacks = Unwell { lacks: Some("no secret.".into()), ..well.clone() };
        let found = connections(&place(), &[lacks]);
        assert_eq!(found[0].level, Level::Fail);
        assert_eq!(found[0].remedy.as_deref(), Some("authd --data-dir /d connection validate conn_1"));
        let silent = Unwell { silent_since: Some(at(-1)), ..well.clone() };
        assert_eq!(connections(&place(), &[silent])[0].level, Level::Warn);
        let demo = Unwell { demo: true, ..well };
        assert_eq!(connections(&place(), &[demo])[0].name, "demo");

        assert_eq!(domains(&place(), now(), &[], &[])[0].level, Level::Ok);
        let claim =
            |until| Unproved { domain: "x.example".into(), connection: "conn_1".into(), challenge_until: until };
        let remedy = |until| domains(&place(), now(), &[claim(until)], &[])[0].remedy.clone().unwrap();
        assert!(remedy(Some(at(1))).contains("domain verify --connection conn_1 --domain x.example"));
        assert!(remedy(Some(at(-1))).contains("domain request"));
        assert!(remedy(None).contains("domain request"));
        let gone = Losing { domain: "x.example".into(), connection: "conn_1".into(), since: at(-1), loses_at: at(6) };
        let found = &domains(&place(), now(), &[], &[gone])[0];
        assert!(found.level == Level::Warn && found.message.contains("is not in DNS"), "{found:?}");
    }

    #[test]
    fn what_ends_soon_is_told() {
        let key = |days| Ending { kind: "api_key".into(), id: "key_1".into(), name: "ci".into(), at: at(days) };
        let level = |days| endings(&place(), now(), &[key(days)])[0].level;
        assert_eq!((level(59), level(20), level(1)), (Level::Ok, Level::Warn, Level::Warn));
        let secret = Ending { kind: "app_secret".into(), ..key(2) };
        assert!(endings(&place(), now(), &[secret])[0].remedy.as_ref().unwrap().contains("app rotate-secret"));
        assert_eq!(endings(&place(), now(), &[])[0].level, Level::Ok);
    }
}
