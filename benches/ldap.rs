//! Sign-ins per second through a directory, beside what the same slapd does of bare binds and searches in the same run.
//!
//! `cargo bench --bench ldap`; needs Debian's slapd. Aim: 85 % of the bare rate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench"
)]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use authd::access::{Caller, Deployment};
use authd::app::App;
use authd::config::{Config, Environment, Flags, PublicUrl};
use authd::crypto::MasterKey;
use authd::env::{Env, SystemClock, SystemRng};
use authd::event::Origin;
use authd::http::{Fetch, OutboundRules, Peer, SystemDns};
use authd::server::Server;
use authd::store::{Options, Store};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use ldap3::{LdapConnAsync, Scope};
use serde_json::json;
use tower::ServiceExt as _;

const PEOPLE: usize = 2_000;
/// So many people at once: a few, and a busy morning.
const WORKERS: [usize; 2] = [8, 64];
const SECONDS: u64 = 10;

struct Slapd(Child);

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn slapd(dir: &std::path::Path) -> (Slapd, u16) {
    let root = dir.display();
    let mut ldif = String::from(
        "dn: dc=x\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: x\n\n\
         dn: cn=svc,dc=x\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: svc\nuserPassword: svc\n\n",
    );
    for n in 0..PEOPLE {
        ldif.push_str(&format!(
            "dn: uid=p{n},dc=x\nobjectClass: inetOrgPerson\nuid: p{n}\ncn: P{n}\nsn: P\nuserPassword: secret\n\n"
        ));
    }
    std::fs::write(dir.join("people.ldif"), ldif).unwrap();
    std::fs::create_dir(dir.join("db")).unwrap();
    let conf = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
         pidfile {root}/pid\nargsfile {root}/args\ndatabase mdb\nmaxsize 134217728\nsuffix dc=x\nrootdn cn=admin,dc=x\n\
         rootpw admin\ndirectory {root}/db\nindex objectClass,uid eq\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"cn=svc,dc=x\" read by self read by anonymous auth by * none\n"
    );
    std::fs::write(dir.join("slapd.conf"), conf).unwrap();
    let add = ["-q", "-f"].map(str::to_owned);
    let added = Command::new("/usr/sbin/slapadd")
        .args(add)
        .arg(dir.join("slapd.conf"))
        .arg("-l")
        .arg(dir.join("people.ldif"))
        .status();
    assert!(added.expect("slapd is not installed: apt-get install slapd").success());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("ldap://127.0.0.1:{port}");
    let child = Command::new("/usr/sbin/slapd")
        .args(["-d", "0", "-h", &url, "-f"])
        .arg(dir.join("slapd.conf"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    (Slapd(child), port)
}

/// User and system time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// So many a second, and the CPU time of each here.
#[expect(clippy::disallowed_methods, reason = "a bench measures the real time")]
async fn rate<F: Future<Output = ()> + Send + 'static>(
    name: &str,
    at_once: usize,
    work: impl Fn(usize) -> F + Send + Sync + 'static,
) -> f64 {
    let (work, done) = (Arc::new(work), Arc::new(AtomicUsize::new(0)));
    let (began, used) = (Instant::now(), cpu());
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let (work, done) = (Arc::clone(&work), Arc::clone(&done));
            tokio::spawn(async move {
                while began.elapsed() < Duration::from_secs(SECONDS) {
                    work(done.fetch_add(1, Ordering::Relaxed) % PEOPLE).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let (took, used) = (began.elapsed(), cpu() - used);
    let count = done.load(Ordering::Relaxed);
    let a_second = count as f64 / took.as_secs_f64();
    let name = format!("{name}, {at_once} at once");
    println!("{name:<36} {a_second:>9.0}/s   {:>7.0} µs CPU each", used.as_micros() as f64 / count as f64);
    a_second
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let (_slapd, port) = slapd(dir.path());
    let url = format!("ldap://127.0.0.1:{port}");

    let (connection, mut searching) = LdapConnAsync::new(&url).await.unwrap();
    ldap3::drive!(connection);
    searching.simple_bind("cn=svc,dc=x", "svc").await.unwrap().success().unwrap();
    let bare = async |at_once| {
        let (url, searching) = (url.clone(), searching.clone());
        rate("bare search and bind", at_once, move |n| {
            let (url, mut searching) = (url.clone(), searching.clone());
            async move {
                let filter = format!("(uid=p{n})");
                let (found, _) =
                    searching.search("dc=x", Scope::Subtree, &filter, vec!["*", "+"]).await.unwrap().success().unwrap();
                assert_eq!(found.len(), 1);
                let (connection, mut own) = LdapConnAsync::new(&url).await.unwrap();
                ldap3::drive!(connection);
                own.simple_bind(&format!("uid=p{n},dc=x"), "secret").await.unwrap().success().unwrap();
            }
        })
        .await
    };

    let rules = OutboundRules::parse(["127.0.0.0/8"]).unwrap();
    let outbound = Fetch::new(rules, Arc::new(SystemDns::new()), &[] as &[&str]).unwrap();
    let env =
        Env::new(Arc::new(SystemClock::new()), Arc::new(SystemRng), Arc::new(outbound), Arc::new(SystemDns::new()));
    let store = Store::open(&dir.path().join("authd.redb"), env.clone(), Options::new([7; 32])).unwrap();
    let public_url = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
    let deployment = Deployment { public_url, master_key: MasterKey::generate(&env), rotate_every: None };
    let app = App::on(store, deployment, env.clone()).await.unwrap();
    let config = Config::load(&Environment::default(), &Flags::default()).unwrap();
    let router = Server::new(&app, &config, &["127.0.0.1:8080".parse().unwrap()]).public;
    let operate = async |name: &str, input: serde_json::Value| {
        let cx = app.context(Caller::Operator { uid: 0 }, Origin::internal(&env));
        app.perform(&cx, name, input).await.unwrap()
    };
    let organization = operate("organization.create", json!({"name": "Bench"})).await["id"].clone();
    let key = operate("api_key.create", json!({"organization": organization, "name": "b", "grants": ["*"]})).await;
    let made = operate(
        "connection.create",
        json!({"organization": organization, "protocol": "ldap", "name": "D", "activate": true, "ldapUrl": url,
            "ldapBindDn": "cn=svc,dc=x", "ldapBindPassword": "svc", "ldapSearchBase": "dc=x",
            "ldapSearchFilter": "(uid={{username}})", "ldap": {"groups": {"mode": "none"}}}),
    )
    .await;
    let path = format!("/connections/{}/ldap", made["id"].as_str().unwrap());
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    let signed_in = async |at_once| {
        let (router, path, bearer) = (router.clone(), path.clone(), bearer.clone());
        rate("sign-ins", at_once, move |n| {
            let (router, path, bearer) = (router.clone(), path.clone(), bearer.clone());
            async move {
                let body = json!({"username": format!("p{n}"), "password": "secret"}).to_string();
                let mut request = Request::post(&path)
                    .header("host", "127.0.0.1:8080")
                    .header("authorization", bearer)
                    .header("content-type", "application/json")
                    .body(Body::from(body))
                    .unwrap();
                request.extensions_mut().insert(Peer::Tcp("192.0.2.1:4000".parse().unwrap()));
                let response = router.oneshot(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
            }
        })
        .await
    };
    for at_once in WORKERS {
        let (bare, signed_in) = (bare(at_once).await, signed_in(at_once).await);
        println!("sign-ins are {:.0} % of the bare rate (aim: 85 %)", 100.0 * signed_in / bare);
    }
}
