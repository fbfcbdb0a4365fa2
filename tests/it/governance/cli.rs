//! The verbs of a policy, from the outside.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

struct Done {
    code: i32,
    out: String,
    err: String,
}

fn run(dir: &Path, args: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authd"));
    command.arg("--data-dir").arg(dir.join("data")).args(args).current_dir(dir).stdin(Stdio::null());
    let output = command.env_clear().env("HOME", dir).env("AUTHD_OUTBOUND_ALLOW", "127.0.0.0/8").output().unwrap();
    Done {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[track_caller]
fn json(done: &Done) -> Value {
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    serde_json::from_str(&done.out).unwrap()
}

#[test]
fn a_policy_is_set_field_by_field_tried_and_explained() {
    let place = tempfile::tempdir().unwrap();
    let go = |args: &[&str]| run(place.path(), args);
    let org = json(&go(&["org", "create", "--name", "N", "--json"]))["id"].as_str().unwrap().to_owned();
    let update = |more: &[&str]| go(&[&["policy", "update", "--org", &org], more].concat());

    let tried = update(&["--set", "provisioning.jit.mode=off", "--dry-run"]);
    assert_eq!(tried.code, 0, "{}", tried.err);
    assert!(
        tried.out.contains("Would change\n  provisioning.jit.mode\n    - createUserAndMembership\n    + off\n"),
        "{}",
        tried.out
    );
    assert!(tried.out.contains("Of 0 people"), "{}", tried.out);
    let set = update(&[
        "--set",
        "provisioning.jit.mode=off",
        "--set",
        "provisioning.user.createOnSignIn=false",
        "--set",
        "provisioning.jit.defaultRoleIds=member,viewer",
        "--set",
        "provisioning.groups.mapping.a.b=admin",
    ]);
    assert!(set.out.starts_with("Changed\n"), "{}{}", set.out, set.err);
    let policy = json(&go(&["policy", "get", "--org", &org, "--json"]));
    let rules = &policy["provisioning"];
    assert_eq!((&rules["jit"]["mode"], &rules["user"]["createOnSignIn"]), (&"off".into(), &false.into()));
    assert_eq!(rules["jit"]["defaultRoleIds"], serde_json::json!(["member", "viewer"]));
    assert_eq!(rules["groups"]["mapping"], serde_json::json!({"a.b": ["admin"]}));
    update(&["--set", "provisioning.jit.mode=null"]);
    std::fs::write(place.path().join("patch.json"), r#"{"provisioning": {"deprovision": {"mode": "hard"}}}"#).unwrap();
    let policy = json(&update(&["--patch", "patch.json", "--json"]));
    assert_eq!(policy["provisioning"]["jit"]["mode"], "createUserAndMembership");
    assert_eq!(policy["provisioning"]["deprovision"]["mode"], "hard");

    for (wrong, says) in [
        (
            "provisioning.jit.mode=of",
            "`provisioning.jit.mode` cannot be `of`: it is one of createUserAndMembership, createUser, off.",
        ),
        ("provisioning.jit.mod=off", "The policy has no field `provisioning.jit.mod`."),
        ("provisionin.jit.mode=off", "The policy has no field `provisionin`."),
        (
            "provisioning.user.createOnSignIn=perhaps",
            "`provisioning.user.createOnSignIn` cannot be `perhaps`: it is true or false.",
        ),
    ] {
        let refused = update(&["--set", wrong]);
        assert!(refused.code == 1 && refused.err.contains(says), "{wrong}: {}", refused.err);
    }
    assert!(update(&["--set", "provisioning.jit.mod=off"]).err.contains("Did you mean `mode`?"));

    let valid = go(&["policy", "validate", "--org", &org]);
    assert!(valid.code == 0 && valid.out.contains("✓ policy_version"), "{}", valid.out);
    assert_eq!(json(&go(&["policy", "reset", "--org", &org, "--json"]))["provisioning"]["deprovision"]["mode"], "soft");

    // A provider that does not answer: the connection is a draft, and all that is known of it can be told.
    let create = ["connection", "create", "--org", &org, "--protocol", "oidc", "--name", "Idp", "--client-id", "x"];
    let secret = ["--client-secret", "s", "--issuer", "http://127.0.0.1:9", "--json"];
    let connection = json(&go(&[&create[..], &secret].concat()))["id"].as_str().unwrap().to_owned();
    let claims = r#"{"sub": "1", "email": "ada@acme.example", "email_verified": true, "groups": ["a.b"]}"#;
    std::fs::write(place.path().join("profile.json"), claims).unwrap();
    let told = go(&["policy", "explain", "--connection", &connection, "--input", "profile.json"]);
    assert_eq!(told.code, 0, "{}", told.err);
    for line in [
        "  ✗ connection   draft",
        "  · identity     nobody  (http://127.0.0.1:9|1)",
        "  · domain       acme.example is proven by nobody",
        "  ✓ verified     the provider says true",
        // A draft is explained as it will be.
        "  ✓ created",
        "  They would be refused: not_a_member.",
    ] {
        assert!(told.out.lines().any(|known| known == line), "{line}: {}", told.out);
    }
    let inline =
        ["--set", "input.sub=1", "--set", "input.email_verified=true", "--set", "provisioning.jit.mode=off", "--json"];
    let inline = json(&go(&[&["policy", "explain", "--connection", &connection][..], &inline].concat()));
    assert_eq!((&inline["facts"]["emailVerified"], &inline["proposed"]), (&false.into(), &true.into()));
    assert_eq!(inline["facts"]["subject"], "http://127.0.0.1:9|1");
    let missing = go(&["policy", "explain", "--connection", &connection, "--input", "no-such-file.json"]);
    assert!(missing.code == 1 && missing.err.contains("no-such-file.json"), "{}", missing.err);
}
