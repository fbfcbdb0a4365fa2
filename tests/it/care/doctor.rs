//! The doctor, from the outside: the real program on a healthy directory, and on a broken one.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn authd(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authd"));
    command.args(["--data-dir", "data"]).args(args).current_dir(dir).stdin(Stdio::null()).env_clear();
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    authd(dir, args).output().unwrap()
}

/// A server that ends with the test.
struct Serving(Child);

impl Serving {
    fn start(dir: &Path) -> Self {
        let mut command = authd(dir, &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "it did not start: {line}");
        Self(child)
    }

    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The report, and the exit code.
fn report(dir: &Path) -> (Value, i32) {
    let output = run(dir, &["doctor", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    (report, output.status.code().unwrap())
}

/// The level and the remedy of the first finding of that name.
fn found<'a>(report: &'a Value, name: &str) -> (&'a str, &'a str) {
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["name"] == name);
    let finding = finding.unwrap_or_else(|| panic!("no finding {name}: {report:#}"));
    (finding["level"].as_str().unwrap(), finding["remedy"].as_str().unwrap_or_default())
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_healthy_directory_has_no_failure_with_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Some(Serving::start(dir.path()));
    for online in [true, false] {
        let (report, code) = report(dir.path());
        let failed: Vec<_> =
            report["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == "fail").collect();
        assert!(failed.is_empty() && code == 0, "online {online}: {failed:#?}");
        assert_eq!((&report["ok"], &report["counts"]["fail"]), (&Value::Bool(true), &Value::from(0)));
        let expected = [
            "config",
            "data_dir",
            "database_file",
            "master_key_file",
            "owner",
            "master_key_copies",
            "leftovers",
            "public_url",
            "listen",
            "trusted_proxies",
            "outbound",
            "log_level",
            "clock",
            "dns",
            "database",
            "master_key",
            "backup",
            "connections",
            "domains",
            "expiring",
        ];
        for name in expected {
            assert_eq!(found(&report, name).0, "ok", "online {online}: {name}: {report:#}");
        }
        for finding in report["findings"].as_array().unwrap() {
            assert_eq!(finding["level"] == "ok", finding.get("remedy").is_none(), "{finding}");
        }
        let text = String::from_utf8(run(dir.path(), &["doctor"]).stdout).unwrap();
        assert!(text.trim_end().lines().last().unwrap().contains("checks are well"), "{text}");
        assert!(text.is_ascii(), "no locale, no symbols: {text}");
        match server.take() {
            Some(server) => {
                assert_eq!(found(&report, "socket").0, "ok");
                server.stop();
            }
            None => return,
        }
    }
}

#[test]
fn what_is_wrong_is_named_with_its_remedy_and_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    Serving::start(dir.path()).stop();
    let data = dir.path().join("data");

    // An old certificate, an open key, and a wall that lets everything through.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    std::fs::write(data.join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(data.join("key.pem"), key.serialize_pem()).unwrap();
    let config = "public_url = \"https://localhost:8443\"\nlisten = \"127.0.0.1:8443\"\n\
        trusted_proxies = [\"0.0.0.0/0\"]\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n\
        [outbound]\nallow = [\"0.0.0.0/0\"]\n[log]\nlevel = \"debug\"\n";
    std::fs::write(data.join("authd.toml"), config).unwrap();
    mode(&data.join("authd.toml"), 0o666);
    mode(&data.join("master.key"), 0o644);
    mode(&data, 0o755);
    std::fs::copy(data.join("master.key"), data.join("master.key.old")).unwrap();
    std::fs::write(data.join("authd.redb.before-1"), "").unwrap();

    let (report, code) = report(dir.path());
    assert_eq!((code, &report["ok"]), (1, &Value::Bool(false)));
    for (name, level, remedy) in [
        ("data_dir", "warn", "chmod 700 data"),
        ("config_file", "fail", "chmod 644 data/authd.toml"),
        ("master_key_file", "fail", "chmod 600 data/master.key"),
        ("master_key", "fail", "chmod 600 data/master.key"),
        ("master_key_copies", "warn", "shred -u data/master.key.old"),
        ("leftovers", "warn", "rm data/authd.redb.before-1"),
        ("tls_certificate", "fail", "renew it"),
        ("tls_host", "ok", ""),
        ("tls_chain", "warn", ""),
        ("tls_key", "ok", ""),
        ("trusted_proxies", "fail", "trusted_proxies = "),
        ("outbound", "warn", "outbound.allow = "),
        ("log_level", "warn", "log.level = \"info\""),
    ] {
        let (found_level, found_remedy) = found(&report, name);
        assert_eq!(found_level, level, "{name}: {report:#}");
        assert!(found_remedy.contains(remedy), "{name}: {found_remedy}");
    }
    let secret = std::fs::read_to_string(data.join("master.key")).unwrap();
    assert!(!report.to_string().contains(secret.trim()), "the key is not told");

    let mut told = authd(dir.path(), &["doctor"]);
    let output = told.env("LANG", "C.UTF-8").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("✘ ") && text.contains("→ chmod 600 data/master.key"), "{text}");
    assert!(text.trim_end().lines().last().unwrap().contains("failures"), "{text}");

    // Each remedy does what it says.
    mode(&data.join("master.key"), 0o600);
    mode(&data.join("authd.toml"), 0o644);
    std::fs::remove_file(data.join("master.key.old")).unwrap();
    let (report, _) = self::report(dir.path());
    for name in ["master_key_file", "master_key", "master_key_copies", "config_file"] {
        assert_eq!(found(&report, name).0, "ok", "{name}: {report:#}");
    }
}

#[test]
fn looking_makes_nothing_and_a_broken_configuration_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    let (told, code) = report(dir.path());
    assert_eq!((code, found(&told, "data_dir").0, found(&told, "database").0), (1, "fail", "fail"), "{told:#}");
    assert!(!dir.path().join("data").exists());

    std::fs::create_dir(dir.path().join("data")).unwrap();
    std::fs::write(dir.path().join("data/authd.toml"), "lisen = \"127.0.0.1:1\"\n").unwrap();
    let (told, code) = report(dir.path());
    assert_eq!((code, found(&told, "config")), (1, ("fail", "Did you mean `listen`?")), "{told:#}");
    assert!(!dir.path().join("data/authd.redb").exists());
}

#[test]
fn the_key_is_shown_and_rotated_from_the_command_line_with_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let json = |args: &[&str]| -> Value {
        let output = run(dir.path(), args);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {err}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let file = dir.path().join("data/master.key");
    let server = Serving::start(dir.path());
    let first = std::fs::read_to_string(&file).unwrap();
    let shown = json(&["master-key", "show", "--json"]);
    assert!(!shown.to_string().contains(first.trim()));
    let rotated = json(&["master-key", "rotate", "--json"]);
    assert_eq!(rotated["previous"], shown["fingerprint"]);
    let second = std::fs::read_to_string(&file).unwrap();
    assert!(second != first && second.lines().count() == 1);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    server.stop();

    let again = json(&["master-key", "rotate", "--json"]);
    assert_eq!(again["previous"], rotated["fingerprint"]);
    assert_eq!(json(&["master-key", "show", "--json"])["fingerprint"], again["fingerprint"]);
    let old = authd(dir.path(), &["org", "list", "--json"]).env("AUTHD_MASTER_KEY", first.trim()).output().unwrap();
    assert!(String::from_utf8_lossy(&old.stderr).contains("master_key_wrong"));
    let given = authd(dir.path(), &["master-key", "rotate"])
        .env("AUTHD_MASTER_KEY", std::fs::read_to_string(&file).unwrap().trim())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&given.stderr).contains("AUTHD_MASTER_KEY_PREVIOUS"));
}
