//! Explanations and dry runs as text: a path from top to bottom, and a picture like that of a difference.

use serde_json::Value;

use super::text::Paint;
use crate::console::escaped;

/// The path of a sign-in, in its order.
pub fn explanation(value: &Value, paint: Paint) -> String {
    let mut page = Page { paint, lines: Vec::new() };
    let facts = &value["facts"];
    page.line(&format!("{}  {}", paint.bold(&text(&value["connectionName"])), paint.dim(&text(&value["connection"]))));
    if let Some(attempt) = value["attempt"].as_object() {
        let code = attempt.get("errorCode").map(|code| format!(", {}", text(code))).unwrap_or_default();
        let then =
            format!("{} at {}: {}{code}", text(&attempt["id"]), text(&attempt["startedAt"]), text(&attempt["outcome"]));
        page.line(&paint.dim(&then));
    }
    if value["proposed"] == true {
        page.line(&paint.yellow("under a policy that is not in force"));
    }
    page.head("Facts");
    let usable = facts["connectionStatus"] == "active" && facts["organizationOpen"] == true;
    let open = if facts["organizationOpen"] == true { "" } else { ", the organization is disabled" };
    page.mark(Some(usable), "connection", &format!("{}{open}", text(&facts["connectionStatus"])));
    page.mark(
        None,
        "identity",
        &format!(
            "{}{}",
            person(&facts["byIdentity"]),
            facts["subject"].as_str().map(|s| format!("  ({})", escaped(s))).unwrap_or_default()
        ),
    );
    let email = facts["email"].as_str();
    page.mark(None, "address", &email.map_or_else(|| "none".to_owned(), escaped));
    if email.is_some() {
        page.mark(None, "known by it", &person(&facts["byEmail"]));
        let domain = text(&facts["domain"]);
        let (ok, standing) = match facts["domainStanding"].as_str() {
            Some("owned") => (Some(true), format!("{domain} is proven for this connection")),
            Some("foreign") => (
                Some(false),
                format!(
                    "{domain} is not the connection's: it has proven {}",
                    list(&facts["connectionDomains"], "none")
                ),
            ),
            _ => (None, format!("{domain} is proven by nobody")),
        };
        page.mark(ok, "domain", &standing);
        let verified = facts["emailVerified"] == true;
        page.mark(
            Some(verified),
            "verified",
            if verified { "the provider says true" } else { "the provider does not say true" },
        );
    }
    page.mark(None, "groups", &list(&facts["groups"], "none"));
    if facts["upstreamRoles"].as_array().is_some_and(|roles| !roles.is_empty()) {
        page.mark(None, "roles there", &list(&facts["upstreamRoles"], "none"));
    }
    for check in facts["checks"].as_array().into_iter().flatten() {
        let found = format!("expected {}, received {}", text(&check["expected"]), text(&check["received"]));
        page.mark(Some(false), &text(&check["name"]), &found);
    }
    page.head("Settings");
    let settings = value["settings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let width = settings.iter().map(|setting| text(&setting["name"]).len()).max().unwrap_or(0);
    for setting in settings {
        let by = text(&setting["setBy"]);
        let by = if by == "default" { paint.dim(&by) } else { paint.cyan(&by) };
        page.line(&format!("  {:width$}  {}  {by}", text(&setting["name"]), value_text(&setting["value"])));
    }
    page.head("Verdict");
    let verdict = &value["verdict"];
    let user = verdict["user"].as_str().map(|user| format!("  {}", paint.dim(&escaped(user)))).unwrap_or_default();
    let word = match verdict["errorCode"].as_str() {
        Some(code) => paint.red(&format!("✗ refused: {}", escaped(code))),
        None => paint.green(&format!("✓ {}", text(&verdict["outcome"]))),
    };
    page.line(&format!("  {word}{user}"));
    page.line(&format!("    {}", text(&verdict["message"])));
    if verdict["admitted"] == true {
        page.roles(&value["roles"]);
        page.fields(&value["changes"]);
    }
    let live = value["sessions"]["live"].as_u64().unwrap_or(0);
    if live > 0 {
        page.head("Sessions");
        page.line(&format!("  {live} live; none ends by this"));
    }
    if let Some(remedy) = value["remedy"].as_object() {
        page.head("What would change it");
        page.line(&format!("  {}", text(&remedy["message"])));
        for command in remedy["commands"].as_array().into_iter().flatten() {
            page.line(&format!("    {}", paint.cyan(&text(command))));
        }
    }
    page.lines.join("\n")
}

/// What was changed, or would be, and what it would do.
pub fn update(value: &Value, paint: Paint) -> String {
    let mut page = Page { paint, lines: Vec::new() };
    let changed = value["changed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let title = if value["dryRun"] == true { "Would change" } else { "Changed" };
    page.line(&paint.bold(title));
    if changed.is_empty() {
        page.line(&paint.dim("  nothing: the policy is so already"));
    }
    for change in changed {
        page.line(&format!("  {}", text(&change["path"])));
        if !change["from"].is_null() {
            page.line(&format!("    {}", paint.red(&format!("- {}", value_text(&change["from"])))));
        }
        if !change["to"].is_null() {
            page.line(&format!("    {}", paint.green(&format!("+ {}", value_text(&change["to"])))));
        }
    }
    if let Some(effect) = value.get("effect") {
        page.effect(effect);
    }
    let steps = value["nextSteps"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !steps.is_empty() {
        page.head("Next");
    }
    for step in steps {
        page.line(&format!("  {}", text(step)));
    }
    page.lines.join("\n")
}

struct Page {
    paint: Paint,
    lines: Vec<String>,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.lines.push(line.trim_end().to_owned());
    }

    fn head(&mut self, title: &str) {
        self.lines.push(String::new());
        self.lines.push(self.paint.bold(title));
    }

    fn mark(&mut self, ok: Option<bool>, name: &str, found: &str) {
        let mark = match ok {
            Some(true) => self.paint.green("✓"),
            Some(false) => self.paint.red("✗"),
            None => self.paint.dim("·"),
        };
        self.line(&format!("  {mark} {name:<12} {found}"));
    }

    fn roles(&mut self, roles: &Value) {
        self.head("Roles");
        let roles = roles.as_array().map(Vec::as_slice).unwrap_or_default();
        if roles.is_empty() {
            self.line(&self.paint.dim("  none"));
        }
        for role in roles {
            let name = text(&role["role"]);
            let name =
                if role["gained"] == true { self.paint.green(&format!("+ {name}")) } else { format!("  {name}") };
            let because = list(&role["because"], "no rule of now");
            self.line(&format!("  {name}  {}", self.paint.dim(&because)));
        }
    }

    fn fields(&mut self, changes: &Value) {
        let changes = changes.as_array().map(Vec::as_slice).unwrap_or_default();
        if changes.is_empty() {
            return;
        }
        self.head("Fields that change");
        for change in changes {
            let was =
                if change["from"].is_null() { String::new() } else { format!("{} → ", value_text(&change["from"])) };
            let owner = self.paint.dim(&format!("({})", text(&change["owner"])));
            self.line(&format!("  {}  {was}{}  {owner}", text(&change["field"]), value_text(&change["to"])));
        }
    }

    fn effect(&mut self, effect: &Value) {
        let paint = self.paint;
        let number = |name: &str| effect[name].as_u64().unwrap_or(0);
        self.head(&format!("Of {} people", number("people")));
        let rows = effect["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            self.line(&paint.dim("  nothing would happen to anybody"));
        }
        for (name, told, good) in [
            ("gain", "would gain a role", true),
            ("lose", "would lose a role", false),
            ("refused", "would be refused at their next sign-in", false),
            ("admitted", "are refused now, and would come in", true),
            ("liveSessions", "live sessions are of people who would be refused", false),
        ] {
            let count = number(name);
            if count > 0 {
                let count = format!("{count:>6}");
                let count = if good { paint.green(&count) } else { paint.red(&count) };
                self.line(&format!("{count}  {told}"));
            }
        }
        for role in effect["roles"].as_array().into_iter().flatten() {
            let (gain, lose) = (role["gain"].as_u64().unwrap_or(0), role["lose"].as_u64().unwrap_or(0));
            let plus = if gain > 0 { paint.green(&format!(" +{gain}")) } else { String::new() };
            let minus = if lose > 0 { paint.red(&format!(" -{lose}")) } else { String::new() };
            self.line(&format!("        {}{plus}{minus}", text(&role["role"])));
        }
        for row in rows {
            let who = row["email"].as_str().map_or_else(|| text(&row["user"]), escaped);
            let mut marks: Vec<String> = Vec::new();
            marks.extend(
                row["gains"].as_array().into_iter().flatten().map(|role| paint.green(&format!("+{}", text(role)))),
            );
            marks.extend(
                row["loses"].as_array().into_iter().flatten().map(|role| paint.red(&format!("-{}", text(role)))),
            );
            marks.extend(row["refused"].as_str().map(|code| paint.red(&format!("✗ {}", escaped(code)))));
            marks.extend(row["admitted"].as_str().map(|code| paint.green(&format!("✓ no longer {}", escaped(code)))));
            self.line(&format!("  {who}  {}", marks.join(" ")));
        }
        if number("more") > 0 {
            self.line(&paint.dim(&format!("  … and {} more (`--limit`)", number("more"))));
        }
        let strangers = effect["strangers"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !strangers.is_empty() {
            self.head("People whom nobody knows");
        }
        for stranger in strangers {
            let (from, to) = (paint.red(&text(&stranger["from"])), paint.green(&text(&stranger["to"])));
            let roles = list(&stranger["roles"], "");
            let roles = if roles.is_empty() { String::new() } else { format!(", as {roles}") };
            self.line(&format!("  through {}: {from} → {to}{roles}", text(&stranger["name"])));
        }
    }
}

fn person(found: &Value) -> String {
    let who = found["email"].as_str().or(found["user"].as_str()).map(escaped);
    let standing = text(&found["standing"]);
    match who {
        Some(who) if found["sameConnection"] == true => format!("{who}, {standing}, brought by this connection"),
        Some(who) => format!("{who}, {standing}"),
        None => standing,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { escaped(&value.to_string()) }, escaped)
}

/// A value as one would write it.
fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::Array(items) if items.is_empty() => "(none)".to_owned(),
        Value::Array(items) if items.iter().all(Value::is_string) => list(value, "(none)"),
        Value::Object(object) if object.is_empty() => "(none)".to_owned(),
        other => text(other),
    }
}

fn list(value: &Value, none: &str) -> String {
    let items: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Paint = Paint { color: false };

    #[test]
    fn an_explanation_reads_from_top_to_bottom() {
        let value = json!({
            "connection": "conn_1", "connectionName": "Okta", "organization": "org_1",
            "facts": {
                "connectionStatus": "active", "organizationOpen": true, "subject": "https://idp|7",
                "byIdentity": {"standing": "nobody"}, "email": "ada@acme.example", "byEmail": {"standing": "nobody"},
                "emailVerified": true, "domain": "acme.example", "domainStanding": "owned",
                "connectionDomains": ["acme.example"], "groups": ["staff"], "upstreamRoles": [],
            },
            "settings": [
                {"name": "provisioning.jit.mode", "value": "off", "setBy": "policy"},
                {"name": "provisioning.jit.defaultRoleIds", "value": [], "setBy": "default"},
            ],
            "verdict": {"admitted": false, "outcome": "refused", "errorCode": "not_a_member", "message": "Not a member."},
            "roles": [], "changes": [], "sessions": {"live": 0, "ending": []},
            "remedy": {"message": "They would come in.", "commands": ["authd policy update --set provisioning.jit.mode=x"]},
        });
        assert_eq!(
            explanation(&value, PLAIN),
            "Okta  conn_1\n\nFacts\n  ✓ connection   active\n  · identity     nobody  (https://idp|7)\n  \
             · address      ada@acme.example\n  · known by it  nobody\n  ✓ domain       acme.example is proven for this connection\n  \
             ✓ verified     the provider says true\n  · groups       staff\n\nSettings\n  \
             provisioning.jit.mode            off  policy\n  provisioning.jit.defaultRoleIds  (none)  default\n\n\
             Verdict\n  ✗ refused: not_a_member\n    Not a member.\n\nWhat would change it\n  They would come in.\n    \
             authd policy update --set provisioning.jit.mode=x"
        );
    }

    #[test]
    fn a_dry_run_is_a_picture_of_a_difference() {
        let value = json!({
            "dryRun": true, "changed": [{"path": "provisioning.jit.mode", "from": "off", "to": "createUser"}],
            "effect": {
                "people": 3, "gain": 1, "lose": 1, "refused": 0, "admitted": 0, "liveSessions": 0,
                "roles": [{"role": "viewer", "gain": 1, "lose": 1}],
                "rows": [{"user": "usr_1", "email": "ada@acme.example", "gains": ["viewer"]}, {"user": "usr_2", "loses": ["viewer"]}],
                "more": 0, "strangers": [{"connection": "conn_1", "name": "Okta", "from": "not_a_member", "to": "waits"}],
            },
            "nextSteps": ["Repeat it."],
        });
        assert_eq!(
            update(&value, PLAIN),
            "Would change\n  provisioning.jit.mode\n    - off\n    + createUser\n\nOf 3 people\n     1  would gain a role\n     \
             1  would lose a role\n        viewer +1 -1\n  ada@acme.example  +viewer\n  usr_2  -viewer\n\n\
             People whom nobody knows\n  through Okta: not_a_member → waits\n\nNext\n  Repeat it."
        );
    }

    /// Every text that a provider or a tenant can write, in every place of both pictures.
    #[test]
    fn nothing_of_a_stranger_steers_an_explanation() {
        let evil = "\u{1b}]52;c;x\u{7}\u{202e}\n";
        let facts = json!({
            "connectionStatus": "active", "organizationOpen": true, "subject": evil, "byIdentity": {"standing": evil, "email": evil},
            "email": evil, "byEmail": {"standing": evil, "user": evil}, "domain": evil, "domainStanding": "foreign",
            "connectionDomains": [evil], "groups": [evil], "upstreamRoles": [evil],
            "checks": [{"name": evil, "ok": false, "expected": evil, "received": evil}],
        });
        let told = json!({
            "connection": evil, "connectionName": evil, "facts": facts,
            "settings": [{"name": evil, "value": {evil: [evil]}, "setBy": evil}, {"name": "x", "value": [evil], "setBy": "policy"}],
            "verdict": {"admitted": true, "outcome": evil, "user": evil, "message": evil},
            "roles": [{"role": evil, "because": [evil], "gained": true}],
            "changes": [{"field": evil, "from": evil, "to": [evil], "owner": evil}],
            "sessions": {"live": 1}, "remedy": {"message": evil, "commands": [evil]},
            "attempt": {"id": evil, "startedAt": evil, "outcome": evil, "errorCode": evil},
        });
        let changed = json!({
            "dryRun": true, "changed": [{"path": evil, "from": evil, "to": evil}], "nextSteps": [evil],
            "effect": {
                "people": 1, "roles": [{"role": evil, "gain": 1, "lose": 1}], "more": 0,
                "rows": [{"user": evil, "email": evil, "gains": [evil], "loses": [evil], "refused": evil, "admitted": evil}],
                "strangers": [{"name": evil, "from": evil, "to": evil, "roles": [evil]}],
            },
        });
        for text in [explanation(&told, PLAIN), update(&changed, PLAIN)] {
            let steers = |c: char| c == '\u{1b}' || c == '\u{7}' || c == '\u{202e}';
            assert!(!text.contains(steers), "{text:?}");
        }
    }
}
