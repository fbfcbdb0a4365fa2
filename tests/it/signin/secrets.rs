//! Canaries: secrets that are planted by every road, and looked for wherever anything is written.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use authd::access::Method as RouteMethod;
use axum::http::Method;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::{REDIRECT, Scene, VERIFIER, address, text};
use crate::world::authd::{Authd, Reply};
use crate::world::op::CLIENT_SECRET;

/// Everything that this process logs, at the finest level, of every library.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn log() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    let lines = LINES.get_or_init(|| {
        let lines = Lines::default();
        let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        tracing::subscriber::set_global_default(all.with_writer(lines.clone()).finish()).unwrap();
        lines
    });
    lines.clone()
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// The part of a token that proves it; what stands before it can be read by anybody who may know of the token.
fn signature(token: &str) -> String {
    token.rsplit('.').next().unwrap().to_owned()
}

#[tokio::test]
async fn adm_04_planted_secrets_are_nowhere_to_be_read() {
    let log = log();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("authd.redb");
    let scene = Scene::on(Authd::start_at(&path).await).await;
    let authd = &scene.authd;
    let mut secrets: Vec<(&str, String)> = Vec::new();
    let mut plant = |what: &'static str, secret: String| {
        assert!(secret.len() >= 20, "{what}: {secret}");
        secrets.push((what, secret));
    };

    // What is typed in, and what is handed out once.
    let upstream = format!("{CLIENT_SECRET}-of-the-provider-canary");
    authd.operate("connection.set_oidc", json!({"id": scene.connection, "clientSecret": upstream})).await;
    authd.operate("connection.set_oidc", json!({"id": scene.connection, "clientSecret": CLIENT_SECRET})).await;
    plant("the provider's client secret", upstream);
    plant("the app's client secret", scene.secret.clone());
    let wish = json!({"organization": scene.organization, "name": "machine", "grants": ["*"]});
    let machine = text(&authd.operate("api_key.create", wish).await, "key");
    plant("a machine's API key", machine.clone());

    // What a sign-in makes on its way.
    let mut browser = authd.browser();
    let left = scene.leave(&mut browser).await;
    plant("the state", left.query("state").unwrap());
    plant("the nonce", left.query("nonce").unwrap());
    let cookies: Vec<String> = browser.cookies.values().cloned().collect();
    cookies.into_iter().for_each(|cookie| plant("a cookie before the sign-in", cookie));
    let landed = browser.get(&scene.back(&left)).await;
    let cookies: Vec<String> = browser.cookies.values().cloned().collect();
    assert!(!cookies.is_empty());
    cookies.into_iter().for_each(|cookie| plant("a cookie after it", cookie));
    plant("the provider's code", scene.op.last_code());
    plant("the provider's access token", scene.op.last_access_token());
    plant("the provider's id token", signature(&scene.op.last_id_token()));
    let code = landed.query("code").unwrap();
    plant("the code", code.clone());
    plant("the app's verifier", VERIFIER.to_owned());
    let tokens = scene.redeem(&code).await.json();
    plant("an access token", signature(&text(&tokens, "access_token")));
    plant("an id token", signature(&text(&tokens, "id_token")));
    let users = authd.operate("user.list", json!({"organization": scene.organization})).await;
    let user = text(&users["items"][0], "id");
    let wish = json!({"organization": scene.organization, "name": "hers", "user": user, "grants": ["*"]});
    let hers = text(&authd.operate("api_key.create", wish).await, "key");
    plant("a person's API key", hers.clone());
    let issue = json!({"organization": scene.organization, "role": "owner"});
    let bearer = text(&authd.operate("token.issue", issue).await, "access_token");
    plant("a token for the API", signature(&bearer));
    let rotated = authd.operate("app.rotate_secret", json!({"id": scene.app})).await;
    plant("the app's next client secret", text(&rotated, "clientSecret"));
    assert!(secrets.len() >= 12, "{}", secrets.len());

    // Everything that can be read is read; everything that can go wrong with a secret goes wrong.
    let mut answers: Vec<Reply> = Vec::new();
    let things = [
        ("connection", scene.connection.clone()),
        ("organization", scene.organization.clone()),
        ("app", scene.app.clone()),
        ("user", user),
    ];
    for bearer in [&machine, &bearer, &hers] {
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", bearer.as_str())];
        for operation in authd.app.catalogue.iter().filter(|operation| operation.route().method == RouteMethod::Get) {
            let noun = operation.name().split('.').next().unwrap();
            for (kind, thing) in &things {
                let path = operation.route().path.replace("{connection}", &scene.connection);
                let path = path.replace("{id}", if *kind == noun { thing } else { "x" }).replace("{name}", "owner");
                answers.push(browser.send(Method::GET, &path, &headers, None).await);
            }
        }
    }
    assert!(answers.iter().filter(|answer| answer.status.is_success()).count() > 20);
    for (_, secret) in &secrets {
        let wrong = format!("Bearer {secret}x");
        answers.push(browser.send(Method::GET, "/v1/users", &[("authorization", &wrong)], None).await);
        answers.push(browser.send(Method::GET, "/userinfo", &[("authorization", &wrong)], None).await);
        let answer = [("code".to_owned(), secret.clone()), ("state".to_owned(), secret.clone())].into_iter().collect();
        answers.push(authd.browser().get(&address(&scene.connection, &answer)).await);
        answers.push(authd.browser().get(&scene.authorize(&[("code_challenge", secret)])).await);
        for (name, value) in [("code", secret.as_str()), ("client_secret", secret), ("code_verifier", secret)] {
            let mut fields = vec![
                ("grant_type", "authorization_code"),
                ("redirect_uri", REDIRECT),
                ("client_id", scene.app.as_str()),
            ];
            fields.push((name, value));
            answers.push(authd.browser().post("/oauth2/token", &fields).await);
        }
        let id = json!({"id": secret});
        let cx = authd.app.context(authd::access::Caller::System, authd::event::Origin::internal(authd.env()));
        let error = authd.app.perform(&cx, "api_key.revoke", id).await.unwrap_err();
        assert!(!holds(format!("{error} {error:?}").as_bytes(), secret), "{error:?}");
    }

    let events: Vec<Value> = authd.events().await.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let events = serde_json::to_string(&events).unwrap();
    authd.app.world.store.close().await;
    let file = std::fs::read(&path).unwrap();
    assert!(
        holds(&file, "Wiki") && holds(&file, &scene.organization.as_str()[..4]),
        "the file is the one that was written"
    );
    let log = log.0.lock().unwrap().clone();
    assert!(holds(&log, "TRACE") && log.len() > 10_000, "the log is the finest there is");
    for (what, secret) in &secrets {
        assert!(!holds(&file, secret), "{what} is in the file");
        assert!(!holds(events.as_bytes(), secret), "{what} is in the events");
        if let Some(at) = log.windows(secret.len()).position(|window| window == secret.as_bytes()) {
            let line = log[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            panic!("{what} is in the log: {}", String::from_utf8_lossy(&log[line..at]));
        }
        for answer in &answers {
            assert!(!holds(format!("{answer:?}").as_bytes(), secret), "{what} is in an answer: {answer:?}");
        }
    }
}

#[tokio::test]
async fn adm_03_no_key_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("authd.redb");
    let authd = Authd::start_at(&path).await;
    let organization = text(&authd.operate("organization.create", json!({"name": "Corp"})).await, "id");
    let person = authd.person(organization.parse().unwrap(), "ada", &["owner"]).await;
    let mut keys = Vec::new();
    for made in 0..20 {
        let mut wish = json!({"organization": organization, "name": format!("key {made}"), "grants": ["*"]});
        if made % 2 == 1 {
            wish["user"] = json!(person);
        }
        let key = authd.operate("api_key.create", wish).await;
        let bearer = format!("Bearer {}", text(&key, "key"));
        let used = authd.browser().send(Method::GET, "/v1/users", &[("authorization", &bearer)], None).await;
        assert_eq!(used.status, 200);
        if made % 3 == 0 {
            authd.operate("api_key.revoke", json!({"id": key["id"]})).await;
        }
        keys.push(text(&key, "key"));
    }
    authd.app.world.store.close().await;
    let file = std::fs::read(&path).unwrap();
    assert!(holds(&file, "key 19"), "the file is the one that was written");
    for key in keys {
        let body = key.strip_prefix("ak_").unwrap();
        let bytes = authd::crypto::from_base64url(body).unwrap();
        assert!(bytes.len() * 8 >= 192, "{} bits", bytes.len() * 8);
        // Not the text, not its bytes, and no part of either that would be worth the rest.
        for part in body.as_bytes().chunks(11).chain(bytes.chunks(8)).filter(|part| part.len() >= 8) {
            assert!(!file.windows(part.len()).any(|window| window == part), "{part:?}");
        }
    }
}
