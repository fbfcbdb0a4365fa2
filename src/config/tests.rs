use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::crypto::MasterKey;
use crate::env::Env;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn flags(dir: &std::path::Path, values: &[(&'static str, &str)]) -> Flags {
    Flags {
        data_dir: Some(dir.display().to_string()),
        config: None,
        values: values.iter().map(|(name, value)| (*name, vec![(*value).to_owned()])).collect(),
    }
}

fn with_file(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("authd.toml"), text).unwrap();
    dir
}

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let dir = with_file("listen = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n[outbound]\nallow = [\"10.0.0.0/8\"]\n");
    let load = |pairs: &[(&str, &str)], values: &[(&'static str, &str)]| {
        Config::load(&environment(pairs), &flags(dir.path(), values)).unwrap()
    };
    assert_eq!(load(&[], &[]).listen.port(), 1);
    assert_eq!(load(&[("AUTHD_LISTEN", "127.0.0.1:2")], &[]).listen.port(), 2);
    assert_eq!(load(&[("AUTHD_LISTEN", "127.0.0.1:2")], &[("listen", "localhost:3")]).listen.port(), 3);
    let config = load(&[("AUTHD_OUTBOUND_ALLOW", "idp.internal:443, 192.168.0.0/16")], &[]);
    assert_eq!(config.outbound.allow, ["idp.internal:443", "192.168.0.0/16"]);
    assert_eq!(load(&[], &[]).log.level, "warn");
}

#[test]
fn bare_defaults_work_and_the_url_follows_the_listener() {
    let config = Config::load(&environment(&[]), &Flags::default()).unwrap();
    assert_eq!(config.data_dir.path(), std::path::Path::new("authd-data"));
    assert_eq!(config.public_url_at(config.listen).unwrap().issuer(), "http://127.0.0.1:8080");
    assert_eq!(config.store.cache_bytes, 32 << 20);
}

#[test]
fn an_unknown_key_is_refused_with_what_was_meant() {
    for (text, meant) in [
        ("lisen = \"127.0.0.1:1\"", "`listen`"),
        ("[tls]\ncerts = \"a\"", "`tls.cert`"),
        ("[outbound]\nalow = []", "`outbound.allow`"),
        ("public-url = \"https://id.example.com\"", "`public_url`"),
    ] {
        let dir = with_file(text);
        let error = Config::load(&environment(&[]), &flags(dir.path(), &[])).unwrap_err();
        assert_eq!(error.code(), "config_unknown_key", "{text}");
        assert!(error.message().contains("authd.toml"), "{error}");
        assert!(error.next_step().unwrap().contains(meant), "{:?}", error.next_step());
    }
    let dir = tempfile::tempdir().unwrap();
    let error = Config::load(&environment(&[("AUTHD_LISTN", "x")]), &flags(dir.path(), &[])).unwrap_err();
    assert!(error.next_step().unwrap().contains("AUTHD_LISTEN"));
    // What an orchestrator sets for a service of that name is nobody's typing error.
    let foreign =
        [("AUTHD_PORT", "tcp://10.0.0.1:80"), ("AUTHD_SERVICE_HOST", "10.0.0.1"), ("AUTHD_CLIENT_SECRET", "x")];
    assert!(Config::load(&environment(&foreign), &flags(dir.path(), &[])).is_ok());
}

#[test]
fn a_wrong_value_names_its_source() {
    let dir = with_file("listen = \"nowhere\"");
    let error = |pairs: &[(&str, &str)], values: &[(&'static str, &str)], dir: &std::path::Path| {
        Config::load(&environment(pairs), &flags(dir, values)).unwrap_err().message().to_owned()
    };
    assert!(error(&[], &[], dir.path()).starts_with("`listen` in "));
    let dir = tempfile::tempdir().unwrap();
    assert!(error(&[("AUTHD_LISTEN", "nowhere")], &[], dir.path()).starts_with("AUTHD_LISTEN: `nowhere` is not"));
    for (name, value, flag) in [
        ("listen", "80", "`--listen`"),
        ("public_url", "http://id.example.com", "`--public-url`"),
        ("trusted_proxies", "proxy", "`--trusted-proxies`"),
        ("outbound.allow", "https://idp.internal", "`--outbound-allow`"),
        ("outbound.allow", "10.0.0.0/99", "`--outbound-allow`"),
        ("outbound.ca_file", "/nowhere/ca.pem", "`--outbound-ca-file`"),
        ("tls.cert", "/etc/hostname", "`--tls-cert`"),
        ("log.level", "=loud=", "`--log-level`"),
        ("log.level", "loud", "`--log-level`"),
        ("log.level", "info,authd::store", "`--log-level`"),
        ("log.format", "xml", "`--log-format`"),
        ("store.cache", "many", "`--store-cache`"),
    ] {
        let message = error(&[], &[(name, value)], dir.path());
        assert!(message.starts_with(flag), "{name}: {message}");
    }
    let dir = with_file("listen = \n");
    assert!(error(&[], &[], dir.path()).contains("line 1"), "{}", error(&[], &[], dir.path()));
}

#[test]
fn a_level_is_one_or_names_its_part() {
    let dir = tempfile::tempdir().unwrap();
    for level in ["INFO", "off", "warn,authd::store=debug", "authd[request]=trace,error"] {
        let loaded = Config::load(&environment(&[]), &flags(dir.path(), &[("log.level", level)]));
        assert_eq!(loaded.unwrap().log.level, level);
    }
}

#[test]
fn a_file_without_end_is_no_configuration() {
    let refused = |text: &str| {
        let dir = with_file(text);
        Config::load(&environment(&[]), &flags(dir.path(), &[])).unwrap_err().message().to_owned()
    };
    assert!(refused(&format!("# {}\n", "x".repeat(1 << 20))).contains("larger than 1 MiB"));
    assert!(refused(&format!("listen = {}", "[".repeat(500_000))).contains("line 1"));
}

#[test]
fn plain_http_is_never_opened_to_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let load = |values: &[(&'static str, &str)]| Config::load(&environment(&[]), &flags(dir.path(), values));
    assert!(load(&[("listen", "0.0.0.0:80"), ("public_url", "https://id.example.com")]).is_err());
    assert!(load(&[("listen", "0.0.0.0:80"), ("trusted_proxies", "10.0.0.1")]).is_err(), "no public URL");
    let behind =
        load(&[("listen", "0.0.0.0:80"), ("trusted_proxies", "10.0.0.1"), ("public_url", "https://id.example.com")]);
    assert_eq!(behind.unwrap().trusted_proxies, ["10.0.0.1/32".parse::<IpNet>().unwrap()]);
}

#[test]
fn the_data_directory_is_closed_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open =
        |path: &std::path::Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let new = DataDir::new(dir.path().join("a/b"));
    new.create().unwrap();
    assert_eq!(mode(new.path()), 0o700);
    open(new.path(), 0o755);
    new.create().unwrap();
    assert_eq!(mode(new.path()), 0o700, "empty, so it is closed");
    std::fs::write(new.path().join("letter.txt"), "mine").unwrap();
    open(new.path(), 0o755);
    new.create().unwrap();
    assert_eq!(mode(new.path()), 0o755, "somebody's things are in it");
    open(new.path(), 0o777);
    assert_eq!(new.create().unwrap_err().code(), "config_invalid");
    // Where others could write, a key may have been put for us to take: only root can make such a file here.
    let planted = DataDir::new(dir.path().join("c"));
    planted.create().unwrap();
    std::fs::write(planted.master_key(), "x").unwrap();
    open(planted.path(), 0o777);
    if std::os::unix::fs::lchown(planted.master_key(), Some(own_uid() + 1), None).is_ok() {
        assert_eq!(planted.create().unwrap_err().code(), "config_invalid");
        std::os::unix::fs::lchown(planted.master_key(), Some(own_uid()), None).unwrap();
    }
    planted.create().unwrap();
    assert_eq!(mode(planted.path()), 0o700, "ours, so it is closed");
}

#[test]
fn the_master_key_is_made_once_and_never_taken_from_an_open_file() {
    let dir = tempfile::tempdir().unwrap();
    let (env, data) = (Env::frozen(), DataDir::new(dir.path()));
    let made = super::master_key(&env, &environment(&[]), &data).unwrap();
    let path = data.master_key();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left aside");
    assert_eq!(super::master_key(&env, &environment(&[]), &data).unwrap().fingerprint(), made.fingerprint());

    let other = MasterKey::generate(&env);
    let given = environment(&[("AUTHD_MASTER_KEY", other.encoded().expose())]);
    assert_eq!(super::master_key(&env, &given, &data).unwrap().fingerprint(), other.fingerprint());
    assert!(!format!("{given:?}").contains(other.encoded().expose()));
    let error = super::master_key(&env, &environment(&[("AUTHD_MASTER_KEY", "hunter2")]), &data).unwrap_err();
    assert_eq!(error.code(), "master_key_invalid");
    assert!(!error.log_line().contains("hunter2"));

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(super::master_key(&env, &environment(&[]), &data).unwrap_err().code(), "master_key_invalid");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(data.database(), "").unwrap();
    assert_eq!(super::master_key(&env, &environment(&[]), &data).unwrap_err().code(), "master_key_wrong");
}

#[test]
fn a_long_path_gets_its_socket_elsewhere_and_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let short = DataDir::new(dir.path());
    assert_eq!(short.place_socket(&environment(&[])).unwrap(), dir.path().join("authd.sock"));
    let long = DataDir::new(dir.path().join("x".repeat(120)));
    long.create().unwrap();
    let runtime = dir.path().join("run");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    let place = long.place_socket(&environment(&[("XDG_RUNTIME_DIR", runtime.to_str().unwrap())])).unwrap();
    assert!(place.starts_with(&runtime) && place.as_os_str().len() <= 100);
    assert_eq!(long.socket(), place);
}

#[test]
fn a_verb_acts_as_the_last_server_did_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let load = |values: &[(&'static str, &str)]| Config::load(&environment(&[]), &flags(dir.path(), values)).unwrap();
    assert_eq!(load(&[]).or_as_last_run().public_url, None);
    let served = load(&[("public_url", "https://id.example.com"), ("outbound.allow", "10.0.0.0/8")]);
    served.note_run(&served.public_url_at(served.listen).unwrap()).unwrap();
    served.note_run(&served.public_url_at(served.listen).unwrap()).unwrap();
    let again = load(&[]).or_as_last_run();
    assert_eq!(again.public_url_at(again.listen).unwrap().issuer(), "https://id.example.com");
    assert_eq!(again.outbound.allow, ["10.0.0.0/8"]);
    let told =
        load(&[("public_url", "https://other.example.com"), ("outbound.allow", "192.168.0.0/16")]).or_as_last_run();
    assert_eq!(told.public_url.unwrap().issuer(), "https://other.example.com");
    assert_eq!(told.outbound.allow, ["192.168.0.0/16"]);
}

#[test]
fn the_example_file_names_every_key_and_its_default() {
    let example = include_str!("../../assets/authd.example.toml");
    let dir = with_file(example);
    Config::load(&environment(&[]), &flags(dir.path(), &[])).unwrap();
    // With every key taken out of its comment.
    let open: Vec<&str> =
        example.lines().map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(line)).collect();
    let table: toml::Table = open.join("\n").parse().unwrap();
    for key in KEYS {
        let value =
            key.name.split('.').try_fold(toml::Value::Table(table.clone()), |value, name| value.get(name).cloned());
        let value = value.unwrap_or_else(|| panic!("{} is not in the example", key.name));
        if !key.default.is_empty() && !key.default.starts_with("from") {
            assert_eq!(value.as_str(), Some(key.default), "{}", key.name);
        }
    }
}
