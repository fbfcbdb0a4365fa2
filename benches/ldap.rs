//! Sign-ins per second through a directory, beside bare searches and binds at the same slapd in the same run.
//!
//! ```text
//! cargo bench --bench ldap [-- --json] [--quick] [--rounds N]
//! ```
//!
//! Both do the same steps as the product: one search on a connection that is kept, and one bind on a fresh one; over plain
//! loopback, and over ldaps, where each bind is a handshake; with passwords under one salted SHA-1 (slapd's default, which
//! costs it nothing) and under argon2 (as its manual recommends, with slappasswd's defaults). The bare contender knows the
//! password and nothing else: no HTTP, no person, no session, no event, no trace, nothing durable. People have signed in
//! before, as on any morning but the first. slapd, client and authd share the machine. Needs Debian's slapd.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench")]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod measure;

use std::path::Path;
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
use authd::store::{Batch, Options, Store};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Scope, StdStream};
use measure::{Aim, Plan, Report, Run, Stopwatch, as_f64, file_system, median, processors, ratio};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tower::ServiceExt as _;

/// Of each kind.
const PEOPLE: usize = 1_000;
/// So many people at once: a few, and a busy morning.
const CROWDS: [usize; 2] = [8, 64];
/// So long a contender runs in a round.
const TURN: Duration = Duration::from_secs(4);

/// How slapd keeps passwords: what a bind costs it.
#[derive(Clone, Copy)]
struct Kind {
    /// In the keys of figures.
    key: &'static str,
    name: &'static str,
    scheme: &'static str,
    /// What the names of these people begin with.
    prefix: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind { key: "ssha", name: "salted SHA-1", scheme: "{SSHA}", prefix: "s" },
    Kind { key: "argon2", name: "argon2", scheme: "{ARGON2}", prefix: "a" },
];

impl Kind {
    fn person(self, n: usize) -> String {
        format!("{}{n}", self.prefix)
    }

    /// `secret`, as slapd keeps it.
    fn hashed(self) -> String {
        let made = Command::new("/usr/sbin/slappasswd")
            .args(["-o", "module-path=/usr/lib/ldap", "-o", "module-load=argon2", "-h", self.scheme, "-s", "secret"])
            .output()
            .expect("slapd is not installed: apt-get install slapd");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }
}

struct Slapd {
    child: Child,
    /// In plain text, and encrypted.
    ports: [u16; 2],
    /// The certificate of its authority: its own.
    authority: String,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn slapd(dir: &Path) -> Slapd {
    let root = dir.display();
    let mut ldif = String::from(
        "dn: dc=x\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: x\n\n\
         dn: cn=svc,dc=x\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: svc\nuserPassword: svc\n\n",
    );
    for kind in KINDS {
        let hash = kind.hashed();
        for uid in (0..PEOPLE).map(|n| kind.person(n)) {
            ldif.push_str(&format!(
                "dn: uid={uid},dc=x\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: P\nsn: P\nuserPassword: {hash}\n\n"
            ));
        }
    }
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let authority = own.cert.pem();
    std::fs::write(dir.join("server.crt"), &authority).unwrap();
    std::fs::write(dir.join("server.key"), own.signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("people.ldif"), ldif).unwrap();
    std::fs::create_dir(dir.join("db")).unwrap();
    let conf = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload argon2\n\
         TLSCACertificateFile {root}/server.crt\nTLSCertificateFile {root}/server.crt\n\
         TLSCertificateKeyFile {root}/server.key\n\
         pidfile {root}/pid\nargsfile {root}/args\ndatabase mdb\nmaxsize 134217728\nsuffix dc=x\nrootdn cn=admin,dc=x\n\
         rootpw admin\ndirectory {root}/db\nindex objectClass,uid eq\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"cn=svc,dc=x\" read by self read by anonymous auth by * none\n"
    );
    std::fs::write(dir.join("slapd.conf"), conf).unwrap();
    let added = Command::new("/usr/sbin/slapadd")
        .args(["-q", "-f"])
        .arg(dir.join("slapd.conf"))
        .arg("-l")
        .arg(dir.join("people.ldif"))
        .status();
    assert!(added.expect("slapd is not installed: apt-get install slapd").success());
    let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let child = Command::new("/usr/sbin/slapd")
        .args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{} ldaps://127.0.0.1:{}", ports[0], ports[1]), "-f"])
        .arg(dir.join("slapd.conf"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", ports[1])).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Slapd { child, ports, authority }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The way to the directory. Sessions of TLS are resumed where the directory offers it, as authd does.
#[derive(Clone)]
struct Way {
    port: u16,
    trust: Option<Arc<ClientConfig>>,
}

impl Way {
    fn to(slapd: &Slapd, encrypted: bool) -> Self {
        let trust = encrypted.then(|| {
            let mut store = RootCertStore::empty();
            store.add(CertificateDer::from_pem_slice(slapd.authority.as_bytes()).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            Arc::new(config.with_root_certificates(store).with_no_client_auth())
        });
        Self { port: slapd.ports[usize::from(encrypted)], trust }
    }

    fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.trust.is_some() { "ldaps" } else { "ldap" }, self.port)
    }

    async fn open(&self) -> Box<dyn Stream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        match &self.trust {
            None => Box::new(stream),
            Some(trust) => {
                let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
                Box::new(TlsConnector::from(Arc::clone(trust)).connect(name, stream).await.unwrap())
            }
        }
    }

    /// A connection to search with, bound as the service account. The library has no TLS here, so bytes are carried.
    async fn service(&self) -> Ldap {
        let (mut ours, library) = UnixStream::pair().unwrap();
        let mut stream = self.open().await;
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut ours, &mut stream).await });
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(library.into_std().unwrap()));
        let (connection, mut ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await.unwrap();
        ldap3::drive!(connection);
        ldap.simple_bind("cn=svc,dc=x", "svc").await.unwrap().success().unwrap();
        ldap
    }

    /// One bind on a connection of its own, in as few bytes as it takes (RFC 4511 §4.2).
    async fn bind(&self, name: &str, password: &str) {
        let part = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat();
        let asked = [&[2_u8, 1, 3][..], &part(4, name.as_bytes()), &part(0x80, password.as_bytes())].concat();
        let message = part(0x30, &[&[2_u8, 1, 1][..], &part(0x60, &asked)].concat());
        let mut stream = self.open().await;
        stream.write_all(&message).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = [0; 14];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[..10], [0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, 0], "bound");
    }
}

/// What was done in one turn, and what slapd took for it.
struct Turn {
    here: Run,
    slapd: Run,
    commits: f64,
}

/// So many at once, one after the other each, until the turn is over.
#[expect(clippy::disallowed_methods, reason = "a bench measures the real time")]
async fn turn<F: Future<Output = ()> + Send + 'static>(
    time: Duration,
    at_once: usize,
    slapd: &Slapd,
    store: &Store,
    work: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Turn {
    let (work, done) = (Arc::new(work), Arc::new(AtomicUsize::new(0)));
    let before = commits(store).await;
    let begun = Instant::now();
    let watches = [std::process::id(), slapd.child.id()].map(Stopwatch::start);
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let (work, done) = (Arc::clone(&work), Arc::clone(&done));
            tokio::spawn(async move {
                while begun.elapsed() < time {
                    work(done.fetch_add(1, Ordering::Relaxed) % PEOPLE).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let count = done.load(Ordering::Relaxed);
    let [here, slapd] = watches.map(|watch| watch.stop(count));
    Turn { here, slapd, commits: (commits(store).await - before) / as_f64(count) }
}

/// How many commits the store has seen: what is empty is not written, and tells the last.
async fn commits(store: &Store) -> f64 {
    as_f64(usize::try_from(store.commit(Batch::new()).await.unwrap().0).unwrap())
}

/// authd, an organization's key, and its connections.
struct World {
    app: App,
    router: Router,
    organization: Value,
    bearer: String,
}

impl World {
    async fn start(dir: &Path) -> Self {
        let rules = OutboundRules::parse(["127.0.0.0/8"]).unwrap();
        let outbound = Fetch::new(rules, Arc::new(SystemDns::new()), &[] as &[&str]).unwrap();
        let env =
            Env::new(Arc::new(SystemClock::new()), Arc::new(SystemRng), Arc::new(outbound), Arc::new(SystemDns::new()));
        let store = Store::open(&dir.join("authd.redb"), env.clone(), Options::new([7; 32])).unwrap();
        let public_url = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
        let deployment = Deployment { public_url, master_key: MasterKey::generate(&env), rotate_every: None };
        let app = App::on(store, deployment, env.clone()).await.unwrap();
        let config = Config::load(&Environment::default(), &Flags::default()).unwrap();
        let router = Server::new(&app, &config, &["127.0.0.1:8080".parse().unwrap()]).public;
        let mut world = Self { app, router, organization: Value::Null, bearer: String::new() };
        world.organization = world.operate("organization.create", json!({"name": "Bench"})).await["id"].clone();
        let wish = json!({"organization": world.organization, "name": "b", "grants": ["*"]});
        world.bearer = format!("Bearer {}", world.operate("api_key.create", wish).await["key"].as_str().unwrap());
        world
    }

    async fn operate(&self, name: &str, input: Value) -> Value {
        let cx = self.app.context(Caller::Operator { uid: 0 }, Origin::internal(&self.app.world.env));
        self.app.perform(&cx, name, input).await.unwrap()
    }

    /// The path of a sign-in through a connection of that way.
    async fn connect(&self, way: &Way, authority: &str) -> String {
        let made = self
            .operate(
                "connection.create",
                json!({"organization": self.organization, "protocol": "ldap", "name": "Directory", "activate": true, "ldap": {
                    "servers": {"urls": [way.url()], "caCertificates": way.trust.as_ref().map(|_| authority)},
                    "bind": {"dn": "cn=svc,dc=x", "password": "svc"},
                    "users": {"base": "dc=x", "filter": "(uid={{username}})"},
                    "groups": {"mode": "none"},
                }}),
            )
            .await;
        format!("/connections/{}/ldap", made["id"].as_str().unwrap())
    }
}

async fn sign_in(router: Router, path: String, bearer: String, name: String) {
    let body = json!({"username": name, "password": "secret"}).to_string();
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

async fn search_and_bind(mut service: Ldap, way: Way, name: String) {
    let filter = format!("(uid={name})");
    let (found, _) = service.search("dc=x", Scope::Subtree, &filter, vec!["*", "+"]).await.unwrap().success().unwrap();
    assert_eq!(found.len(), 1);
    way.bind(&format!("uid={name},dc=x"), "secret").await;
}

/// The contenders of one way, kind and crowd, in turns.
async fn measure(plan: &Plan, report: &mut Report, world: &World, slapd: &Slapd, encrypted: bool) {
    let way = Way::to(slapd, encrypted);
    let service = way.service().await;
    let path = world.connect(&way, &slapd.authority).await;
    let (time, store) = (TURN.mul_f64(plan.scale), &world.app.world.store);
    for kind in KINDS {
        // Everybody once: nobody is new any more.
        for n in 0..PEOPLE {
            sign_in(world.router.clone(), path.clone(), world.bearer.clone(), kind.person(n)).await;
        }
        for crowd in CROWDS {
            let (mut bare, mut authd) = (Vec::new(), Vec::new());
            for _ in 0..plan.rounds {
                let (service, to) = (service.clone(), way.clone());
                let work = move |n| search_and_bind(service.clone(), to.clone(), kind.person(n));
                bare.push(turn(time, crowd, slapd, store, work).await);
                let (router, path, bearer) = (world.router.clone(), path.clone(), world.bearer.clone());
                let work = move |n| sign_in(router.clone(), path.clone(), bearer.clone(), kind.person(n));
                authd.push(turn(time, crowd, slapd, store, work).await);
            }
            let over = if encrypted { "ldaps" } else { "plain loopback" };
            report.heading(&format!("{over}, {}, {crowd} people at once", kind.name));
            let key = format!("{}_{}_{crowd}", if encrypted { "ldaps" } else { "plain" }, kind.key);
            tell(report, &key, &bare, &authd);
        }
    }
}

fn tell(report: &mut Report, of: &str, bare: &[Turn], authd: &[Turn]) {
    let runs = |turns: &[Turn]| turns.iter().map(|turn| turn.here).collect::<Vec<Run>>();
    for (key, label, turns) in [("bare", "bare search and bind", bare), ("sign_in", "sign-in by authd", authd)] {
        report.contender(&format!("{of}_{key}"), label, &runs(turns));
        let share = |run: fn(&Turn) -> Run| {
            let of = |turn: &Turn| run(turn).cpu.as_secs_f64() / run(turn).wall.as_secs_f64();
            100.0 * median(turns.iter().map(of)) / as_f64(processors())
        };
        let slapd = median(turns.iter().map(|turn| turn.slapd.cpu_each()));
        report.heading(&format!(
            "    of the processors: here {:.0} %, slapd {:.0} % ({slapd:.0} µs each); commits {:.2} each",
            share(|turn| turn.here),
            share(|turn| turn.slapd),
            median(turns.iter().map(|turn| turn.commits)),
        ));
    }
    let percent = 100.0 * ratio(&runs(authd), &runs(bare));
    report.figure(&format!("{of}_ratio"), "sign-ins : bare", percent, " %", Aim::AtLeast(85.0));
}

#[tokio::main]
async fn main() {
    let plan = Plan::read();
    let dir = tempfile::tempdir().unwrap();
    let slapd = slapd(dir.path());
    let world = World::start(dir.path()).await;
    let about = format!("{}, {} processors, {} rounds", file_system(dir.path()), processors(), plan.rounds);
    let mut report = Report::new("ldap", &about);
    for encrypted in [false, true] {
        measure(&plan, &mut report, &world, &slapd, encrypted).await;
    }
    report.print(&plan);
    world.app.world.store.close().await;
}
