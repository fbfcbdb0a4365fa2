//! The command line, from the outside: the real program, with a server and without one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const AUTHD: &str = env!("CARGO_BIN_EXE_authd");

/// A data directory, and the program on it.
pub struct Place {
    pub dir: tempfile::TempDir,
}

pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }

    #[track_caller]
    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(AUTHD);
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null()).env_clear().env("HOME", self.dir.path());
        command
    }

    /// `authd --data-dir D …`
    pub fn run(&self, args: &[&str]) -> Done {
        let data = self.data();
        let all: Vec<&str> = ["--data-dir", data.to_str().unwrap()].into_iter().chain(args.iter().copied()).collect();
        Done::of(&self.command(&all).output().unwrap())
    }

    pub fn serve(&self, more: &[&str]) -> Serving {
        let data = self.data();
        let mut args = vec!["serve", "--data-dir", data.to_str().unwrap()];
        if !more.contains(&"--listen") {
            args.extend(["--listen", "127.0.0.1:0"]);
        }
        args.extend(more);
        let mut child = self.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let output = child.wait_with_output().unwrap();
            panic!("it did not start: {}", String::from_utf8_lossy(&output.stderr));
        }
        Serving { child, ready: serde_json::from_str(&line).unwrap() }
    }
}

/// A running server; it ends with the test.
pub struct Serving {
    child: Child,
    pub ready: Value,
}

impl Serving {
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    pub fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exact forms that scripts rely upon.
fn the_forms(place: &Place) {
    let org = place.run(&["org", "create", "--name", "N", "--json"]).id();
    assert!(org.starts_with("org_"));
    assert_eq!(place.run(&["org", "list", "--json"]).json()["items"][0]["id"], org.as_str());

    let key = place.run(&["api-key", "create", "--org", &org, "--name", "N", "--grant", "*", "--json"]).json();
    assert!(key["id"].as_str().unwrap().starts_with("key_") && key["key"].as_str().unwrap().starts_with("ak_"));

    let create = [
        "connection",
        "create",
        "--org",
        &org,
        "--protocol",
        "oidc",
        "--name",
        "N",
        "--issuer",
        "https://127.0.0.1:1/",
    ];
    let refused = place.run(&[&create[..], &["--client-id", "I", "--client-secret", "S", "--json"]].concat());
    assert_eq!(refused.code, 1, "a private address that is not allowed: {}", refused.out);
    let problem: Value = serde_json::from_str(refused.err.trim()).unwrap();
    assert_eq!(problem["code"], "outbound_not_allowed");

    // A name that nobody answers for: it is saved as not ready.
    let create =
        ["connection", "create", "--org", &org, "--protocol", "oidc", "--name", "N", "--issuer", "https://idp.invalid"];
    let made = place
        .run(&[&create[..], &["--client-id", "I", "--client-secret", "S", "--domain", "d.example", "--json"]].concat());
    let connection = made.id();
    assert!(connection.starts_with("conn_") && !made.out.contains("\"S\""), "{}", made.out);
    for (verb, field) in [("get", "id"), ("validate", "checks"), ("test", "checks"), ("status", "status")] {
        let done = place.run(&["connection", verb, &connection, "--json"]);
        let answer: Value = serde_json::from_str(&done.out).unwrap();
        assert!(answer.get(field).is_some(), "{verb}: {}", done.out);
        assert_eq!(done.code, i32::from(answer["ok"] == false), "{verb}: a bad report is not a success");
        let by_name = place.run(&["connection", verb, "--id", &connection, "--json"]);
        assert_eq!(by_name.code, done.code, "{verb} --id");
    }
    assert_eq!(
        place.run(&["connection", "list", "--org", &org, "--json"]).json()["items"][0]["id"],
        connection.as_str()
    );

    let verified = place
        .run(&["domain", "verify", "--connection", &connection, "--domain", "d.example", "--force", "--json"])
        .json();
    assert_eq!(verified["verified"], true);

    let uri = "https://app.example.com/cb?a=1,2";
    let app = place.run(&["app", "create", "--org", &org, "--name", "N", "--redirect-uri", uri, "--json"]).json();
    assert!(app["clientId"].as_str().unwrap().starts_with("app_") && app["clientSecret"].is_string());
    for reach in ["own", "all", &org, &format!("{org},{org}")] {
        let done = place.run(&[
            "app",
            "create",
            "--org",
            &org,
            "--name",
            "N",
            "--redirect-uri",
            uri,
            "--organizations",
            reach,
            "--json",
        ]);
        assert!(done.json()["clientId"].is_string(), "{reach}");
    }
    let listed = place.run(&["app", "list", "--org", &org, "--json"]).json();
    assert_eq!(listed["items"][0]["redirectUris"], serde_json::json!([uri]), "a comma in an address is part of it");

    let token = place.run(&["token", "issue", "--org", &org, "--role", "owner", "--json"]).json();
    assert_eq!(token["access_token"].as_str().unwrap().split('.').count(), 3);

    assert!(place.run(&["session", "list", "--org", &org, "--json"]).json()["items"].is_array());
    let nobody = place.run(&["session", "revoke", "ses_00000000000000000000000000", "--json"]);
    assert_eq!(nobody.code, 1);
    assert!(place.run(&["user", "list", "--org", &org, "--json"]).json()["items"].is_array());
    assert_eq!(place.run(&["user", "get", "usr_00000000000000000000000000", "--json"]).code, 1);
    assert_eq!(place.run(&["counts", "--json"]).json()["organizations"], 1);
    assert_eq!(place.run(&["admin", "counts", "--json"]).json()["connections"], 1);

    assert_eq!(place.run(&["connection", "disable", &connection, "--json"]).json()["status"], "disabled");
    assert_eq!(place.run(&["connection", "delete", &connection, "--json"]).code, 0);
}

#[test]
fn the_forms_work_without_a_server() {
    the_forms(&Place::new());
}

#[test]
fn the_forms_work_by_a_running_server() {
    let place = Place::new();
    let serving = place.serve(&[]);
    the_forms(&place);
    assert_eq!(serving.stop(), 0);
}

#[test]
fn what_is_made_without_a_server_is_there_with_one_and_the_other_way_round() {
    let place = Place::new();
    let first = place.run(&["org", "create", "--name", "Before", "-q"]);
    let serving = place.serve(&[]);
    place.run(&["org", "create", "--name", "During", "--json"]).id();
    assert_eq!(serving.stop(), 0);
    let list = place.run(&["org", "list", "--json"]).json();
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|org| org["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Before", "During"]);
    assert_eq!(list["items"][0]["id"], first.out.trim());
}

#[test]
fn a_verb_without_a_server_acts_as_the_last_server_did() {
    let place = Place::new();
    let url = "https://id.example.com";
    place.serve(&["--public-url", url, "--outbound-allow", "idp.invalid:8443"]).stop();
    let org = place.run(&["org", "create", "--name", "N", "-q"]).out.trim().to_owned();
    let create =
        ["connection", "create", "--org", &org, "--protocol", "oidc", "--name", "N", "--client-id", "I", "--json"];
    let made = place.run(&[&create[..], &["--issuer", "http://idp.invalid:8443"]].concat()).json();
    assert!(made["callbackUrl"].as_str().unwrap().starts_with(url), "{made}");
}

#[test]
fn a_server_waits_for_a_verb_that_is_about_to_end() {
    let place = Place::new();
    place.run(&["org", "create", "--name", "N", "--json"]).id();
    let verbs: Vec<_> = (0..4)
        .map(|_| {
            let data = place.data();
            place
                .command(&["--data-dir", data.to_str().unwrap(), "org", "create", "--name", "M", "-q"])
                .spawn()
                .unwrap()
        })
        .collect();
    let serving = place.serve(&[]);
    for mut verb in verbs {
        assert!(verb.wait().unwrap().success(), "by the database or by the server");
    }
    assert_eq!(place.run(&["counts", "--json"]).json()["organizations"], 5);
    assert_eq!(serving.stop(), 0);
}

#[test]
fn shared_flags_stand_before_or_after_the_verb() {
    let place = Place::new();
    let data = place.data();
    let data = data.to_str().unwrap();
    place.run(&["org", "create", "--name", "N"]);
    for args in [
        ["--data-dir", data, "--json", "org", "list"],
        ["org", "--data-dir", data, "--json", "list"],
        ["org", "list", "--json", "--data-dir", data],
        ["organization", "list", "--json", "--data-dir", data],
    ] {
        assert!(Done::of(&place.command(&args).output().unwrap()).json()["items"].is_array());
    }
    let mut by_environment = place.command(&["org", "list", "--json"]);
    assert!(Done::of(&by_environment.env("AUTHD_DATA_DIR", data).output().unwrap()).json()["items"].is_array());
}

#[test]
fn bare_defaults_are_a_directory_here() {
    let place = Place::new();
    let nothing = Done::of(&place.command(&["org", "list"]).output().unwrap());
    assert_eq!(nothing.code, 1, "{}", nothing.out);
    assert!(nothing.err.contains("--data-dir"), "{}", nothing.err);
    assert!(!place.dir.path().join("authd-data").exists(), "looking makes nothing");
    let named = place.run(&["org", "list"]);
    assert!(named.code == 1 && named.err.contains("help: "), "{}", named.err);
    assert!(!place.data().exists(), "not where it was named, either");
    assert_eq!(Done::of(&place.command(&["org", "create", "--name", "N"]).output().unwrap()).code, 0);
    assert!(place.dir.path().join("authd-data/authd.redb").exists());
}

#[test]
fn a_server_says_that_it_is_ready_and_keeps_others_out() {
    let place = Place::new();
    let serving = place.serve(&[]);
    let ready = &serving.ready;
    assert_eq!(ready["event"], "ready");
    assert!(ready["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let socket = place.data().join("authd.sock");
    assert_eq!(ready["socket"], socket.to_str().unwrap());
    assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!((mode(&place.data()), mode(&socket), mode(&place.data().join("master.key"))), (0o700, 0o600, 0o600));
    assert_eq!(mode(&place.data().join("authd.redb")), 0o600);

    let second = place.run(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    assert_eq!(second.code, 1);
    assert!(second.err.contains("data_dir_in_use"), "{}", second.err);

    let pid = ready["pid"].as_u64().unwrap();
    assert_eq!(pid, u64::from(serving.child.id()));
    assert_eq!(serving.stop(), 0);
    assert!(!socket.exists(), "the socket goes with the server");
}

#[test]
fn a_killed_server_leaves_nothing_in_the_way() {
    let place = Place::new();
    let mut serving = place.serve(&[]);
    place.run(&["org", "create", "--name", "N", "--json"]).id();
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    assert!(place.data().join("authd.sock").exists());
    assert_eq!(place.run(&["org", "list", "--json"]).json()["items"].as_array().unwrap().len(), 1);
    let again = place.serve(&[]);
    assert_eq!(place.run(&["org", "list", "--json"]).json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(again.stop(), 0);
}

#[test]
fn a_long_data_directory_has_its_socket_elsewhere() {
    let place = Place::new();
    let deep = place.dir.path().join("d".repeat(60)).join("e".repeat(60));
    let deep = deep.to_str().unwrap();
    let runtime = place.dir.path().join("run");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut child = place
        .command(&["serve", "--data-dir", deep, "--listen", "127.0.0.1:0"])
        .env("XDG_RUNTIME_DIR", &runtime)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let serving = Serving { child, ready: serde_json::from_str(&line).unwrap() };
    assert!(Path::new(serving.ready["socket"].as_str().unwrap()).starts_with(&runtime));
    // The second one's environment is another; it finds the socket by the note.
    let listed = Done::of(&place.command(&["--data-dir", deep, "org", "list", "--json"]).output().unwrap());
    assert!(listed.json()["items"].is_array());
}

#[test]
fn the_exit_code_tells_whose_fault_it_is() {
    let place = Place::new();
    assert_eq!(place.run(&["org", "create", "--name", "N"]).code, 0);
    assert_eq!(place.run(&["--help"]).code, 0);
    assert_eq!(place.run(&["--version"]).code, 0);
    for yours in [
        &["org", "creat"][..],
        &["org", "create"],
        &["org", "create", "--nmae", "N"],
        &["org", "create", "--name", ""],
        &["org", "get", "org_00000000000000000000000000"],
        &["org", "list", "--limit", "many"],
        &["serve", "--listen", "nowhere"],
        &["org", "list", "--limit", "0"],
        &["serve", "--public-url", "http://id.example.com"],
        &["serve", "--outbound-allow", "foo"],
        &["serve", "--demo", "--public-url", "https://id.example.com"],
        &[
            "serve",
            "--demo",
            "--listen",
            "0.0.0.0:0",
            "--trusted-proxies",
            "10.0.0.1",
            "--public-url",
            "https://localhost",
        ],
    ] {
        let done = place.run(yours);
        assert_eq!(done.code, 1, "{yours:?}: {}{}", done.out, done.err);
        assert!(done.out.is_empty() && done.err.starts_with("error: "), "{yours:?}: {}{}", done.out, done.err);
    }
    let help = place.run(&["org"]);
    assert!(
        help.code == 1 && help.out.is_empty() && help.err.contains("create"),
        "what can be said next: {}",
        help.err
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let done = place.run(&["serve", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert!(done.code == 1 && done.err.contains("listen_failed"), "{}", done.err);
    // A provider that does not answer is not the caller's mistake.
    let org = place.run(&["org", "create", "--name", "N", "-q"]).out.trim().to_owned();
    let create = [
        "connection",
        "create",
        "--org",
        &org,
        "--protocol",
        "oidc",
        "--name",
        "N",
        "--client-id",
        "I",
        "--client-secret",
        "S",
        "--activate",
    ];
    let done = place.run(&[&create[..], &["--issuer", "https://idp.invalid"]].concat());
    assert_eq!(done.code, 2, "{}", done.err);
    // A disk that cannot be written to is not, either.
    let done = place.run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "/proc/nowhere"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{}", done.err);
}

#[test]
fn errors_are_json_when_asked_for() {
    let place = Place::new();
    for args in
        [&["org", "get", "org_x", "--json"][..], &["org", "creat", "--json"], &["serve", "--listen", "x", "--json"]]
    {
        let done = place.run(args);
        let problem: Value = serde_json::from_str(done.err.trim()).unwrap_or_else(|e| panic!("{e}: {}", done.err));
        assert!(problem["code"].is_string() && problem["detail"].is_string(), "{problem}");
        assert!(done.out.is_empty());
    }
}

#[test]
fn a_wrong_master_key_is_noticed_at_the_start() {
    let place = Place::new();
    place.run(&["org", "create", "--name", "N", "--json"]).id();
    let other = "A".repeat(43);
    let data = place.data();
    let mut command = place.command(&["--data-dir", data.to_str().unwrap(), "org", "list", "--json"]);
    let done = Done::of(&command.env("AUTHD_MASTER_KEY", &other).output().unwrap());
    assert_eq!(done.code, 1);
    assert!(done.err.contains("master_key_wrong") && !done.err.contains(&other), "{}", done.err);
    std::fs::set_permissions(data.join("master.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let done = place.run(&["org", "list", "--json"]);
    assert!(done.err.contains("master_key_invalid"), "{}", done.err);
}

#[test]
fn names_of_strangers_are_harmless_and_colour_is_for_terminals() {
    let place = Place::new();
    place.run(&["org", "create", "--name", "Acme \u{1b}]52;c;eA==\u{7}\u{202e}exe", "--json"]);
    let text = place.run(&["org", "list"]);
    assert!(!text.out.contains('\u{1b}') && !text.out.contains('\u{202e}'), "{:?}", text.out);
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm-256color")] {
        let data = place.data();
        let mut command = place.command(&["--data-dir", data.to_str().unwrap(), "org", "get", "x"]);
        let done = Done::of(&command.env(name, value).output().unwrap());
        assert!(!done.err.contains('\u{1b}'), "{:?}", done.err);
    }
}

#[test]
fn secrets_come_by_file_or_environment_and_nested_fields_by_set_or_file() {
    let place = Place::new();
    let org = place.run(&["org", "create", "--name", "N", "--json"]).id();
    let data = place.data();
    let secret = place.dir.path().join("secret.txt");
    std::fs::write(&secret, "s3cr3t\n").unwrap();
    let create = [
        "connection",
        "create",
        "--org",
        &org,
        "--protocol",
        "oidc",
        "--name",
        "N",
        "--issuer",
        "https://idp.invalid",
        "--client-id",
        "I",
        "--json",
    ];
    let by_file = place.run(&[&create[..], &["--client-secret-file", secret.to_str().unwrap()]].concat());
    assert_eq!(by_file.json()["oidc"]["hasClientSecret"], true);

    let all: Vec<&str> = ["--data-dir", data.to_str().unwrap()].into_iter().chain(create).collect();
    let by_environment = Done::of(&place.command(&all).env("AUTHD_CLIENT_SECRET", "s3cr3t").output().unwrap());
    assert_eq!(by_environment.json()["oidc"]["hasClientSecret"], true);

    let mut child = place
        .command(&[&all[..], &["--client-secret-file", "-"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"s3cr3t").unwrap();
    assert_eq!(Done::of(&child.wait_with_output().unwrap()).json()["oidc"]["hasClientSecret"], true);

    let set = place
        .run(
            &[
                &create[..],
                &["--set", "oidc.security.clockToleranceSeconds=60", "--set", "oidc.profile.mapping.groups=roles"],
            ]
            .concat(),
        )
        .json();
    assert_eq!(set["oidc"]["security"]["clockToleranceSeconds"], 60);
    assert_eq!(set["oidc"]["profile"]["mapping"]["groups"], "roles");
    let unknown = place.run(&[&create[..], &["--set", "oidc.security.tolerance=60"]].concat());
    assert!(unknown.code == 1 && unknown.err.contains("unknown_field"), "{}", unknown.err);

    let file = place.dir.path().join("connection.json");
    std::fs::write(&file, format!(r#"{{"organization": "{org}", "protocol": "oidc", "name": "From a file", "issuer": "https://idp.invalid", "clientId": "I"}}"#)).unwrap();
    let made = place
        .run(&["connection", "create", "--file", file.to_str().unwrap(), "--name", "From a flag", "--json"])
        .json();
    assert_eq!(made["name"], "From a flag", "the flag wins");
    for (text, why) in [("[]", "a list"), ("{", "no JSON"), (r#"{"nmae": "x"}"#, "unknown")] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(place.run(&["connection", "create", "--file", file.to_str().unwrap()]).code, 1, "{why}");
    }
}

#[test]
fn help_teaches() {
    let place = Place::new();
    let help = place.run(&["connection", "create", "--help"]).out;
    for part in [
        "Usage: authd connection create --protocol",
        "--issuer",
        "--client-secret-file",
        "AUTHD_CLIENT_SECRET",
        "Examples:",
        "POST /v1/connections",
        "[possible values: oidc, saml, ldap]",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let help = place.run(&["serve", "--help"]).out;
    for part in ["--outbound-allow", "AUTHD_PUBLIC_URL", "--demo", "[default: 127.0.0.1:8080]"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    assert!(place.run(&["--help"]).out.contains("connection"));
}

#[test]
fn quiet_is_for_scripts() {
    let place = Place::new();
    let id = place.run(&["org", "create", "--name", "N", "-q"]).out;
    assert!(id.starts_with("org_") && id.lines().count() == 1);
    assert_eq!(place.run(&["-q", "org", "list"]).out, id);
}

/// The status of `GET /healthz` over the network.
fn health(ready: &Value) -> String {
    let address = ready["listen"].as_str().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /nowhere HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_server_nobody_listens_to_serves_and_stops() {
    let place = Place::new();
    let mut serving = place.serve(&["--log-level", "trace"]);
    drop(serving.child.stderr.take());
    drop(serving.child.stdout.take());
    for _ in 0..3 {
        assert!(health(&serving.ready).contains(" 404"), "each answer is a line that nobody takes");
    }
    assert_eq!(serving.stop(), 0);
}

#[test]
fn a_server_whose_reader_left_before_the_start_starts() {
    let place = Place::new();
    let data = place.data();
    for more in [&[][..], &["--demo"]] {
        let args = [&["serve", "--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0"][..], more].concat();
        let mut child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let serving = Serving { child, ready: Value::Null };
        let answers = || place.run(&["counts", "--json"]).code == 0 && data.join("authd.sock").exists();
        assert!((0..200).any(|_| answers() || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            false
        }));
        assert_eq!(serving.stop(), 0);
    }
}

#[test]
fn the_end_of_its_terminal_stops_a_server_in_order() {
    let place = Place::new();
    let mut serving = place.serve(&[]);
    serving.signal("-HUP");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    assert!(!place.data().join("authd.sock").exists());
}

#[test]
fn what_a_demo_left_is_told() {
    let place = Place::new();
    place.serve(&["--demo"]).stop();
    let mut serving = place.serve(&[]);
    let mut log = serving.child.stderr.take().unwrap();
    assert_eq!(serving.stop(), 0);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut log, &mut text).unwrap();
    assert!(text.contains("authd connection disable conn_"), "{text}");
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else { return };
    let place = Place::new();
    place.run(&["org", "create", "--name", "N"]);
    let data = place.data();
    let mut command = place.command(&["--data-dir", data.to_str().unwrap(), "org", "list"]);
    let done = Done::of(&command.stdout(full).output().unwrap());
    assert!(done.code == 2 && done.err.starts_with("error: "), "{}", done.err);
}

#[test]
fn a_mistyped_flag_or_verb_is_met_with_the_right_one() {
    let place = Place::new();
    for (args, meant) in [
        (&["org", "create", "--nmae", "N"][..], "did you mean `--name`?"),
        (&["org", "creat"], "did you mean `create`?"),
        (&["connection", "create", "--name", "N", "--protocol", "oidcc"], "did you mean `oidc`?"),
    ] {
        let text = place.run(args).err;
        assert!(text.contains(&format!("\nhelp: {meant}")) && !text.contains("tip:"), "{text}");
        let json = place.run(&[args, &["--json"]].concat()).err;
        let problem: Value = serde_json::from_str(json.trim()).unwrap();
        assert_eq!(problem["help"], meant, "{problem}");
    }
    let problem: Value = serde_json::from_str(place.run(&["org", "create", "--json"]).err.trim()).unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("--name"), "{problem}");
    let missing = place.run(&["org", "get", "org_00000000000000000000000000"]).err;
    assert!(missing.contains("no authd in"), "{missing}");
    place.run(&["org", "create", "--name", "N"]);
    let missing = place.run(&["org", "get", "org_00000000000000000000000000"]).err;
    assert!(missing.contains("no organization org_0") && missing.contains("help: `authd org list`"), "{missing}");
}

/// Texts that tell somebody to type something that does not exist are worse than none.
#[test]
fn every_verb_that_a_text_names_exists() {
    fn files(path: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, out);
            } else if path.extension().is_some_and(|end| end == "rs" || end == "md") {
                out.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = authd::cli::reference::cli(&authd::app::catalogue());
    let verbs: Vec<&str> = reference.lines().filter_map(|line| line.strip_prefix("## authd ")).collect();
    let mut texts = vec![root.join("README.md")];
    files(&root.join("docs/reference"), &mut texts);
    files(&root.join("src"), &mut texts);
    for file in texts {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = file.extension().is_some_and(|end| end == "rs");
        for line in text.lines().filter(|line| !code || !line.trim_start().starts_with("//")) {
            let quoted = line.split("`authd ").skip(1).map(|rest| rest.split('`').next().unwrap_or_default());
            let typed = line.trim_start().strip_prefix("authd ").filter(|_| !code);
            for words in quoted.chain(typed) {
                let plain =
                    |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
                let words: Vec<&str> = words.split(' ').take_while(plain).take(3).collect();
                let begun = |count: usize| words[..count].join(" ");
                let known = words.is_empty()
                    || (1..=words.len()).any(|count| verbs.contains(&begun(count).as_str()))
                    || verbs.iter().any(|verb| verb.starts_with(&format!("{} ", begun(words.len()))));
                assert!(known, "{}: there is no `authd {}`", file.display(), words.join(" "));
            }
        }
    }
}
