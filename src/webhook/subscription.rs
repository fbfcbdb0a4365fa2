//! Which events an endpoint wants: names, and names that end in `*`.

use crate::error::{Error, Result, codes};
use crate::event::EventKind;

/// At most so many patterns on one endpoint.
const MOST: usize = 100;

/// What other servers with these events tell of people's own passwords and keys. authd keeps none of those, so that it never
/// happens here; a client that names all it knows is not refused for that.
const ELSEWHERE: [&str; 6] =
    ["password.changed", "passkey.added", "passkey.removed", "totp.enrolled", "totp.removed", "email.verified"];

/// Whether an event of that kind may leave at all. What tells of deliveries would make further ones, without end.
pub fn deliverable(kind: EventKind) -> bool {
    !kind.name().starts_with("webhook.delivery.")
}

/// Whether one of the patterns covers the kind.
pub fn wanted(patterns: &[String], kind: EventKind) -> bool {
    deliverable(kind) && patterns.iter().any(|pattern| kind.is_covered_by(pattern))
}

/// The patterns as they are kept: trimmed, each once; everything when none is given. A `*` stands alone or behind a
/// dot. Errors: `invalid_input`, for a pattern that no event can ever have.
pub fn read(patterns: &[String]) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for pattern in patterns.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty()) {
        let star = pattern.strip_suffix('*');
        let shaped = star.is_none_or(|start| start.is_empty() || start.ends_with('.'));
        let known = EventKind::ALL.iter().any(|kind| deliverable(*kind) && kind.is_covered_by(pattern));
        let elsewhere = ELSEWHERE.iter().any(|name| star.map_or(*name == pattern, |start| name.starts_with(start)));
        if !shaped || !(known || elsewhere) {
            let shown: String = pattern.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(Error::says(&codes::INVALID_INPUT, format!("No event that is sent out is called `{shown}`."))
                .help("Say the name of an event (`user.created`), all that begin so (`user.*`), or all: `*`. `docs/reference/events.md` lists them."));
        }
        if !all.iter().any(|known| known == pattern) {
            all.push(pattern.to_owned());
        }
    }
    if all.len() > MOST {
        return Err(Error::says(&codes::INVALID_INPUT, format!("An endpoint has at most {MOST} subscriptions.")));
    }
    if all.is_empty() {
        all.push("*".to_owned());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_names() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(read(&[]).unwrap(), ["*"]);
        assert_eq!(read(&texts(&["user.*, session.signed_in", "user.*"])).unwrap(), ["user.*", "session.signed_in"]);
        let elsewhere = ["password.changed", "passkey.*", "email.verified"];
        assert_eq!(read(&texts(&elsewhere)).unwrap(), elsewhere);
        for wrong in [
            "passkey",
            "passkeys.added",
            "user",
            "user*",
            "us*",
            "*.created",
            "webhook.delivery.*",
            "webhook.delivery.failed",
            "nothing.at_all",
        ] {
            assert!(read(&texts(&[wrong])).is_err(), "{wrong}");
        }
        assert!(wanted(&texts(&["user.*"]), EventKind::UserCreated));
        assert!(!wanted(&texts(&["user.*"]), EventKind::SessionSignedIn));
        assert!(wanted(&texts(&["webhook.*"]), EventKind::WebhookEndpointTested));
        assert!(EventKind::ALL.iter().all(|kind| wanted(&texts(&["*"]), *kind) == deliverable(*kind)));
        assert!(!deliverable(EventKind::DeliveryFailed));
    }
}
