//! What a server answers: a company at work, nothing yet, or a refusal.

use authd::tui::ask::What;
use authd::tui::intake::Refusal;
use serde_json::{Value, json};

use super::Mood;

const ORG: &str = "org_01kv0000000000000000000001";
const OKTA: &str = "conn_01kv0000000000000000000001";
const ADFS: &str = "conn_01kv0000000000000000000002";
const LDAP: &str = "conn_01kv0000000000000000000003";
const WIKI: &str = "app_01kv0000000000000000000001";
const CRM: &str = "app_01kv0000000000000000000002";

const PEOPLE: &[(&str, &str)] = &[
    ("ada@acme.example", "Ada Lovelace"),
    ("grace@acme.example", "Grace Hopper"),
    ("alan@acme.example", "Alan Turing"),
    ("margaret@acme.example", "Margaret Hamilton"),
    ("edsger@acme.example", "Edsger Dijkstra"),
    ("zoë@acme.example", "Zoë 東京"),
];

fn id(kind: &str, number: usize) -> String {
    format!("{kind}_01kv{number:022}")
}

/// A moment so many seconds before 2026-06-15T12:00:00Z.
fn ago(seconds: i64) -> String {
    authd::tui::shown::stamp(super::NOW - seconds * 1_000)
}

pub fn person(number: usize) -> (String, &'static str, &'static str) {
    let (email, name) = PEOPLE[number % PEOPLE.len()];
    (id("usr", number % PEOPLE.len()), email, name)
}

pub fn session(number: usize) -> Value {
    let (user, email, _) = person(number);
    let begun = 7_200 - i64::try_from(number).unwrap() * 240;
    json!({
        "id": id("ses", number), "organization": ORG, "user": user, "email": email, "live": true,
        "connection": if number.is_multiple_of(3) { ADFS } else { OKTA },
        "createdAt": ago(begun), "lastUsedAt": ago(begun / 4), "expiresAt": ago(begun - 28_800),
        "authenticatedAt": ago(begun), "ip": format!("192.0.2.{}", number + 7), "userAgent": "Firefox/140",
    })
}

pub fn event(seq: usize) -> Value {
    let (user, _, _) = person(seq);
    let at = ago(3_000 - i64::try_from(seq).unwrap() * 40);
    let base = |kind: &str, outcome: &str, subject: (&str, String), targets: Value| {
        json!({
            "eventId": id("evt", seq), "seq": seq, "kind": kind, "category": kind.split('.').next(), "occurredAt": at,
            "organizationId": ORG, "actorType": "user", "actorId": user, "subjectType": subject.0, "subjectId": subject.1,
            "targets": targets, "outcome": outcome, "requestId": id("req", seq), "ip": "192.0.2.7", "data": {},
        })
    };
    let connection = || json!([{"kind": "user", "id": user}]);
    match seq % 7 {
        0 => base("session.signed_in", "success", ("session", id("ses", seq)), connection()),
        1..=3 => base("connection.login.succeeded", "success", ("connection", OKTA.into()), connection()),
        4 => {
            let mut event = base("connection.login.failed", "failure", ("connection", ADFS.into()), json!([]));
            event["errorCode"] = if seq.is_multiple_of(2) { "token_audience" } else { "nonce_mismatch" }.into();
            event
        }
        5 => base("oauth.token.exchanged", "success", ("app", WIKI.into()), connection()),
        _ => base(
            "connection.scim.user.provisioned",
            "success",
            ("user", user.clone()),
            json!([{"kind": "connection", "id": OKTA}]),
        ),
    }
}

fn signin(number: usize) -> Value {
    let (user, _, _) = person(number);
    let begun = 3_000 - i64::try_from(number).unwrap() * 130;
    let checks = |last: bool| {
        json!([
            {"name": "state", "ok": true}, {"name": "issuer", "ok": true, "received": "https://acme.okta.example"},
            {"name": "signature", "ok": true, "received": "RS256"},
            {"name": "audience", "ok": last, "expected": "authd-acme", "received": if last { "authd-acme" } else { "another-client" }},
        ])
    };
    let mut trace = json!({
        "id": id("att", number), "outcome": "success", "organization": ORG, "connection": OKTA, "app": WIKI, "user": user,
        "session": id("ses", number), "requests": [id("req", number), id("req", number + 50)], "startedAt": ago(begun),
        "endedAt": authd::tui::shown::stamp(super::NOW - begun * 1_000 + 1_840 + i64::try_from(number).unwrap() * 90), "checks": checks(true),
    });
    match number % 6 {
        4 => {
            trace["outcome"] = "failure".into();
            trace["errorCode"] = "token_audience".into();
            trace["message"] = "The token is for somebody else.".into();
            trace["help"] = "Set the client id that the provider has for authd: `authd connection set-oidc`.".into();
            trace["checks"] = checks(false);
            for field in ["user", "session"] {
                trace.as_object_mut().unwrap().remove(field);
            }
        }
        5 => {
            trace["outcome"] = "pending".into();
            trace["checks"] = json!([]);
            for field in ["user", "session", "endedAt"] {
                trace.as_object_mut().unwrap().remove(field);
            }
        }
        _ => {}
    }
    trace
}

fn connections() -> Value {
    let domain = |name: &str, verified: bool| {
        json!({"domain": name, "isPrimary": true, "verified": verified, "verifiedBy": "dns", "createdAt": ago(90_000),
            "challenge": if verified { Value::Null } else { json!({"domain": name, "recordType": "TXT", "recordName": format!("_authd.{name}"), "recordValue": "authd=1f0c", "requestedAt": ago(60), "expiresAt": ago(-86_400)}) }})
    };
    let base = |id: &str, name: &str, protocol: &str, status: &str, domains: Value| {
        json!({"id": id, "organization": ORG, "name": name, "protocol": protocol, "status": status, "domains": domains,
            "callbackUrl": format!("https://id.acme.example/connections/{id}/oidc/callback"),
            "backchannelLogoutUrl": format!("https://id.acme.example/connections/{id}/oidc/backchannel-logout"),
            "createdAt": ago(900_000), "updatedAt": ago(9_000)})
    };
    let mut okta = base(OKTA, "Acme Okta", "oidc", "active", json!([domain("acme.example", true)]));
    okta["oidc"] = json!({"discovery": {"issuer": "https://acme.okta.example"}, "client": {"id": "authd-acme"}});
    let mut adfs = base(ADFS, "Acme ADFS", "saml", "active", json!([domain("acme.test", false)]));
    adfs["saml"] = json!({"identityProvider": {"entityId": "https://adfs.acme.test", "certificates": [{"notAfter": ago(-864_000)}]}, "serviceProvider": {}});
    let ldap = base(LDAP, "Office directory", "ldap", "draft", json!([]));
    json!({"items": [okta, adfs, ldap]})
}

/// What the server measured since it was started.
fn timings(nothing: bool) -> Value {
    let one = |what: &str, counts: [(f64, u64); 4]| {
        let counts = counts.map(|(at, count)| (at, if nothing { 0 } else { count }));
        let buckets: Vec<Value> = counts.iter().map(|(at, count)| json!({"atMostMs": at, "count": count})).collect();
        json!({"what": what, "count": counts[3].1, "buckets": buckets})
    };
    json!({"items": [
        one("answer", [(0.5, 400), (1.0, 900), (2.5, 985), (10.0, 1_000)]),
        one("sign_in", [(1_000.0, 4), (2_500.0, 20), (5_000.0, 29), (20_000.0, 30)]),
        one("provider", [(50.0, 11), (100.0, 45), (250.0, 59), (1_000.0, 60)]),
        one("write", [(1.0, 10), (2.5, 80), (5.0, 99), (25.0, 100)]),
    ]})
}

fn expiry() -> Value {
    let one = |kind: &str, name: &str, days: Option<i64>, urgency: &str, next: &str| {
        json!({"kind": kind, "id": ADFS, "name": name, "organization": ORG, "connection": ADFS, "urgency": urgency, "next": next,
            "at": days.map(|days| ago(-days * 86_400 - 3_600)), "daysLeft": days})
    };
    json!({"items": [
        one("saml_certificate", "Acme ADFS: CN=adfs.acme.test", Some(5), "urgent", "Ask the provider for its next certificate: `authd connection refresh-saml conn_…`."),
        one("scim_token", "Okta provisioning", Some(21), "soon", "Make another, give it to the directory, then revoke this one."),
        one("api_key", "ci", Some(200), "later", "Make another for whoever uses it."),
        one("ldap_bind", "Office directory", None, "unknown", "Only the directory knows when it ends."),
    ]})
}

fn endpoints() -> Value {
    json!({"items": [
        {"id": id("whe", 1), "organization": ORG, "name": "CRM", "url": "https://crm.acme.example/hooks", "subscriptions": ["user.*", "session.*"], "status": "active", "secrets": 1, "waiting": 0, "succeededAt": ago(42), "createdAt": ago(90_000), "updatedAt": ago(90_000)},
        {"id": id("whe", 2), "organization": ORG, "url": "https://ops.acme.example/authd", "subscriptions": ["*"], "status": "active", "secrets": 2, "waiting": 17, "failingSince": ago(1_900), "createdAt": ago(90_000), "updatedAt": ago(90_000)},
    ]})
}

fn deliveries() -> Value {
    let one = |number: usize, state: &str, status: Option<u16>, error: Option<&str>| {
        json!({"id": id("dlv", number), "endpoint": id("whe", 2), "seq": number, "kind": "user.created", "state": state, "tries": number % 4 + 1,
            "status": status, "error": error, "createdAt": ago(900), "dueAt": (state == "pending").then(|| ago(-120))})
    };
    json!({"items": [one(1, "acknowledged", Some(204), None), one(2, "failed", Some(500), None), one(3, "pending", None, Some("upstream_unavailable"))]})
}

fn people() -> Value {
    let items = PEOPLE.iter().enumerate().map(|(at, (email, name))| {
        json!({"id": id("usr", at), "organization": ORG, "status": if at == 3 { "suspended" } else { "active" }, "email": email, "emailVerified": true, "name": name,
            "groups": ["engineering"], "roles": if at == 0 { json!(["owner"]) } else { json!(["member"]) }, "connection": OKTA, "createdAt": ago(90_000), "updatedAt": ago(900)})
    });
    json!({"items": items.collect::<Vec<_>>()})
}

fn apps() -> Value {
    let one = |id: &str, name: &str, logout: bool| {
        json!({"clientId": id, "organization": ORG, "name": name, "kind": "web", "public": false, "redirectUris": [format!("https://{}.acme.example/callback", name.to_lowercase())], "origins": [], "organizations": "own", "alg": "ES256", "tokenSeconds": 900,
            "backchannelLogoutUri": logout.then_some("https://wiki.acme.example/logout"), "grantTypes": ["authorization_code", "refresh_token"], "createdAt": ago(90_000), "updatedAt": ago(9_000)})
    };
    json!({"items": [one(WIKI, "Wiki", true), one(CRM, "CRM", false)]})
}

fn doctor() -> Value {
    json!({"version": "0.1.0", "now": ago(0), "masterKey": {"fingerprint": "G8x6S4mr", "source": "file", "ageDays": 41, "unfinished": false},
        "firstEventAt": ago(900_000), "newestEventAt": ago(12), "backupAt": ago(30_000), "ending": [], "unproved": [{"domain": "acme.test", "connection": ADFS}],
        "unwell": [{"id": ADFS, "name": "Acme ADFS", "silentSince": ago(1_200), "demo": false}], "losing": [], "issuers": []})
}

fn list(name: &str, input: &Value) -> Option<Value> {
    let many = |items: Vec<Value>| json!({"items": items});
    Some(match name {
        "organization.list" => many(vec![json!({"id": ORG, "name": "Acme", "enabled": true})]),
        "connection.list" => connections(),
        "app.list" => apps(),
        "user.list" => people(),
        "session.list" => many((0..12).rev().map(session).collect()),
        "signin.list" => many((0..14).rev().map(signin).collect()),
        "expiry.list" => expiry(),
        "webhook.list" => endpoints(),
        "delivery.list" => deliveries(),
        "group.list" => many(vec![
            json!({"id": id("grp", 1), "organization": ORG, "connection": OKTA, "externalId": "00g1", "name": "engineering", "createdAt": ago(90_000), "updatedAt": ago(9_000)}),
        ]),
        "role.list" => many(vec![
            json!({"organization": ORG, "name": "auditor", "builtin": false, "grants": ["connection.audit.read"]}),
            json!({"organization": ORG, "name": "owner", "builtin": true, "grants": ["*"]}),
        ]),
        "audit.list" => {
            let kinds = input["kind"].as_str().unwrap_or_default();
            let wanted = |event: &Value| {
                let kind = event["kind"].as_str().unwrap();
                kinds.is_empty() || kinds.split(',').any(|wanted| kind.starts_with(wanted.trim_end_matches('*')))
            };
            many((1..70).rev().map(event).filter(wanted).collect())
        }
        _ => return None,
    })
}

/// The answer to it.
pub fn answer(what: &What, mood: Mood, asked: &mut Vec<(String, Value)>) -> Result<Value, Refusal> {
    if mood == Mood::Error {
        let message = "The running server does not answer on its socket.".to_owned();
        return Err(Refusal { code: "shutting_down".into(), message, help: Some("`authd serve` starts it.".into()) });
    }
    let What::Operation(name, input) = what else {
        return Ok(json!({"url": "https://id.acme.example", "version": "0.1.0"}));
    };
    asked.push(((*name).to_owned(), input.clone()));
    if let Some(list) = list(name, input) {
        return Ok(if mood == Mood::Empty { json!({"items": []}) } else { list });
    }
    Ok(match *name {
        "counts.show" if mood == Mood::Empty => {
            json!({"sessions": 0, "users": 0, "apps": 0, "events": 3, "attempts": 0})
        }
        "counts.show" => {
            json!({"sessions": 12, "users": 41, "apps": 2, "events": 48_112, "attempts": 2, "organizations": 1, "connections": 3, "api_keys": 2, "signing_keys": 2})
        }
        "timings.show" => timings(mood == Mood::Empty),
        "doctor.examine" if mood == Mood::Empty => {
            json!({"version": "0.1.0", "unwell": [], "unproved": [], "losing": [], "ending": [], "issuers": [], "masterKey": {}})
        }
        "doctor.examine" => doctor(),
        "connection.status" => {
            json!({"connectionId": input["id"], "status": "active", "ready": input["id"] != ADFS, "domainCount": 1, "protocols": {}})
        }
        "domain.list" => json!({"domains": [{"domain": "acme.example", "verified": true, "verifiedBy": "dns"}]}),
        "session.get" => {
            let mut session = session(3);
            session["id"] = input["id"].clone();
            session["apps"] =
                json!([{"app": WIKI, "since": ago(900), "logout": "acknowledged"}, {"app": CRM, "since": ago(900)}]);
            session["amr"] = json!(["pwd", "otp"]);
            session
        }
        "identity.list" => {
            json!({"items": [{"connection": OKTA, "subject": "00u1b2c3", "user": input["user"], "organization": ORG, "createdAt": ago(900)}]})
        }
        "policy.explain" => {
            json!({"connection": OKTA, "verdict": "success", "facts": {"byIdentity": {"standing": "active"}, "byEmail": {"standing": "active"}}, "roles": [{"role": "member", "because": ["the default"], "gained": false}], "changes": [{"field": "name", "from": "Ada", "to": "Ada Lovelace", "owner": "connection"}]})
        }
        "group.get" => {
            json!({"id": input["id"], "name": "engineering", "connection": OKTA, "members": [id("usr", 0), id("usr", 1)]})
        }
        "webhook.get" => endpoints()["items"][1].clone(),
        "delivery.get" => deliveries()["items"][1].clone(),
        "connection.test" => {
            json!({"connectionId": OKTA, "protocol": "oidc", "ok": false, "latencyMs": 41, "checks": [{"name": "discovery", "ok": true}, {"name": "jwks", "ok": false, "message": "The key set has no key for signing."}]})
        }
        "connection.validate" => {
            json!({"ok": true, "connectionId": OKTA, "checks": [{"name": "issuer", "ok": true}, {"name": "client_id", "ok": true}]})
        }
        "app.rotate_secret" => json!({"clientId": WIKI, "clientSecret": "s3cr3t-once"}),
        "audit.verify" => {
            json!({"ok": true, "of": 48_112, "rows": 48_112, "checkpoints": 49, "erased": 0, "pruned": 0})
        }
        _ => json!({"id": input["id"]}),
    })
}
