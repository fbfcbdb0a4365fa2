//! `authd serve --demo`: the real program, its sample app and its test identity provider, walked through by HTTP.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use authd::env::{Outbound as _, Request};
use authd::http::{Fetch, OutboundRules, SystemDns};
use axum::http::header;
use serde_json::Value;
use url::Url;

/// The program, stopped in order when it is dropped.
struct Demo {
    child: Child,
    ready: Value,
    told: Value,
}

impl Demo {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_authd"))
            .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let (ready, told) = (next(), next());
        // What else it says must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, ready, told }
    }

    fn text(&self, name: &str) -> &str {
        self.told[name].as_str().unwrap()
    }

    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Just enough of a browser: cookies by host, redirects, the first form of a page.
struct Browser {
    fetch: Fetch,
    cookies: BTreeMap<String, String>,
}

struct Seen {
    url: Url,
    status: u16,
    page: String,
}

impl Browser {
    fn new() -> Self {
        let rules = OutboundRules::parse(&["127.0.0.1".to_owned()]).unwrap();
        let fetch = Fetch::new(rules, Arc::new(SystemDns::new()), &[] as &[&Path]).unwrap();
        Self { fetch, cookies: BTreeMap::new() }
    }

    async fn go(&mut self, request: Request) -> Seen {
        let mut request = request;
        for _ in 0..10 {
            let url = request.url.clone();
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = self.fetch.send(request.header(header::COOKIE, &pairs.join("; "))).await.unwrap();
            for cookie in answer.headers.get_all(header::SET_COOKIE) {
                let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            match answer.headers.get(header::LOCATION) {
                Some(next) => request = Request::get(url.join(next.to_str().unwrap()).unwrap()),
                None => return Seen { url, status: answer.status, page: String::from_utf8(answer.body).unwrap() },
            }
        }
        panic!("redirects without end");
    }

    async fn open(&mut self, address: &str) -> Seen {
        self.go(Request::get(address.parse().unwrap())).await
    }

    async fn fill(&mut self, seen: &Seen, fields: &[(&str, &str)]) -> Seen {
        let plain = |text: &str| {
            let text = text.replace("&#38;", "&").replace("&amp;", "&");
            text.replace("&#39;", "'").replace("&#34;", "\"")
        };
        let attribute = |tag: &str, name: &str| {
            let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
            Some(plain(rest.split('"').next()?))
        };
        let form = seen.page.split_once("<form").unwrap_or_else(|| panic!("no form: {}", seen.page)).1;
        let form = form.split_once("</form>").unwrap().0;
        let action = attribute(&format!(" {form}"), "action").unwrap();
        let hidden = form.split("<input").skip(1).filter(|tag| tag.contains("type=\"hidden\""));
        let mut all: Vec<(String, String)> =
            hidden.map(|tag| (attribute(tag, "name").unwrap(), attribute(tag, "value").unwrap())).collect();
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let pairs: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.go(Request::post_form(seen.url.join(&action).unwrap(), &pairs)).await
    }

    /// From the sample app's button to whatever comes of it.
    async fn sign_in(&mut self, demo: &Demo, person: &str, fault: &str) -> Seen {
        let home = self.open(demo.text("appUrl")).await;
        assert!(home.page.contains("href=\"/sign-in\""), "{}", home.page);
        let first = self.open(&format!("{}/sign-in", demo.text("appUrl"))).await;
        let people = self.fill(&first, &[("email", demo.text("tryEmail"))]).await;
        assert!(people.url.as_str().starts_with(demo.text("simulatorUrl")), "{}", people.url);
        assert!(people.page.contains("Test identity provider"));
        self.fill(&people, &[("person", person), ("fault", fault)]).await
    }
}

/// The `aud` of the token that the page shows.
fn client_id(page: &str) -> String {
    let at = page.find("app_").unwrap();
    page[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

#[tokio::test]
async fn the_demo_ends_in_a_verified_token_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let demo = Demo::start(&data);
    assert_eq!(demo.ready["event"], "ready");
    assert_eq!(demo.told["event"], "demo");

    let signed_in = Browser::new().sign_in(&demo, "ada", "").await;
    assert_eq!(signed_in.status, 200);
    assert_eq!(signed_in.url.as_str(), format!("{}/", demo.text("appUrl")), "no code stays in the address bar");
    assert!(signed_in.page.contains("Ada Lovelace") && signed_in.page.contains("ada@demo.example"));
    assert!(signed_in.page.contains("and it was verified"), "{}", signed_in.page);
    assert!(!signed_in.page.contains("class=\"bad\""));
    assert!(signed_in.page.contains(demo.ready["url"].as_str().unwrap()), "the issuer is this authd");

    let refused = Browser::new().sign_in(&demo, "ada", "wrong_audience").await;
    assert_eq!(refused.status, 400);
    assert!(refused.page.contains("token_audience"));
    let stranger = Browser::new().sign_in(&demo, "mallory", "").await;
    assert_eq!(stranger.status, 403);
    assert!(stranger.page.contains("email_domain_not_owned"));

    // An answer that this browser did not ask for is not taken.
    let mut other = Browser::new();
    let planted = other.open(&format!("{}/callback?code=c&state=s&iss=i", demo.text("appUrl"))).await;
    assert_eq!(planted.status, 400);
    assert!(planted.page.contains("href=\"/sign-in\"") && !planted.page.contains("Ada"));

    let (app, simulator) = (demo.text("appUrl").to_owned(), demo.text("simulatorUrl").to_owned());
    let before = client_id(&signed_in.page);
    demo.stop();
    let demo = Demo::start(&data);
    assert_eq!((demo.text("appUrl"), demo.text("simulatorUrl")), (app.as_str(), simulator.as_str()));
    let again = Browser::new().sign_in(&demo, "ada", "").await;
    assert!(again.page.contains("and it was verified"), "{}", again.page);
    assert_eq!(client_id(&again.page), before, "the app is the same one");
    demo.stop();
}

#[tokio::test]
async fn the_demo_opens_nothing_but_loopback() {
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(&directory.path().join("data"));
    for name in ["appUrl", "simulatorUrl"] {
        let url: Url = demo.text(name).parse().unwrap();
        assert_eq!((url.scheme(), url.host_str()), ("http", Some("127.0.0.1")));
        // Another name for the same address is not served: no page of the web gets in by one.
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", url.port().unwrap())).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    }
}
