//! The names of every check of every report: people and programs know a finding by its name, so none changes by accident.

use serde_json::{Value, json};

use crate::signin::Scene;

const OIDC: &[&str] = &[
    "oidc_configured",
    "client_id_present",
    "client_secret_stored",
    "issuer_or_discovery_url_present",
    "discovery_reachable",
    "token_endpoint_auth_method_supported",
    "jwks_uri_present",
    "audience_valid",
];
const SAML: &[&str] = &[
    "saml_configured",
    "idp_metadata_present",
    "idp_entity_id",
    "sp_metadata_generates",
    "signed_assertions_compatible",
    "authn_request_signing_compatible",
    "timestamp_validation_configured",
];
const LDAP: &[&str] = &[
    "ldap_configured",
    "settings_complete",
    "reachable",
    "tls_verified",
    "service_bind",
    "base_exists",
    "user_filter_matches",
    "group_search_works",
];
const SCIM: &[&str] = &[
    "scim_config_exists",
    "scim_config_active",
    "token_hash_set",
    "base_path_matches_route",
    "user_external_id_reuse_enabled",
    "filter_subset_supported",
    "protocol_capabilities_declared",
];
const POLICY: &[&str] = &[
    "policy_version",
    "jit_default_role_ids_known",
    "provisioning_role_mapping_targets_known",
    "provisioning_group_mapping_targets_known",
    "scim_reuse_supported",
];
const DOMAIN: &[&str] =
    &["verification_requested", "challenge_active", "dns_record_present", "dns_record_matches", "domain_verified"];

#[track_caller]
fn named(report: &Value, names: &[&str]) {
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("{report}"));
    let found: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    let ok = checks.iter().all(|check| check["ok"] == true);
    assert_eq!(report["ok"], ok, "{report}");
    for check in checks {
        assert!(check["ok"] == true || check["message"].is_string(), "what to do about it: {check}");
        let keys = check.as_object().unwrap().keys();
        assert!(keys.into_iter().all(|key| ["name", "ok", "message"].contains(&key.as_str())), "{check}");
    }
}

#[track_caller]
fn failing(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["ok"] == false).map(|check| check["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_check_has_its_name() {
    let scene = Scene::new().await;
    let authd = &scene.authd;
    let organization = &scene.organization;
    let set_up = authd.operate("connection.validate", json!({"id": scene.connection})).await;
    named(&set_up, OIDC);
    assert_eq!(set_up["connectionId"], scene.connection.as_str());
    for (protocol, names) in [("oidc", OIDC), ("saml", SAML), ("ldap", LDAP)] {
        let wish = json!({"organization": organization, "protocol": protocol, "name": protocol});
        let bare = authd.operate("connection.create", wish).await["id"].clone();
        let report = authd.operate("connection.validate", json!({"id": bare})).await;
        named(&report, names);
        assert_eq!(report["ok"], false, "{protocol}: nothing is set");
    }
    named(&authd.operate("policy.validate", json!({"organization": organization})).await, POLICY);
    let domain = json!({"connection": scene.connection, "domain": "more.example"});
    authd.operate("domain.add", domain.clone()).await;
    named(&authd.operate("domain.confirm", domain).await, DOMAIN);
}

#[tokio::test]
async fn provisioning_is_validated_check_by_check() {
    let scene = Scene::new().await;
    let authd = &scene.authd;
    for place in [json!({"connection": scene.connection}), json!({"organization": scene.organization})] {
        let with = |more: Value| {
            let mut all = place.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let validate = async || {
            let report = authd.operate("scim.validate", place.clone()).await;
            named(&report, SCIM);
            report
        };
        let nothing = validate().await;
        assert_eq!(failing(&nothing), ["scim_config_exists", "scim_config_active", "token_hash_set"]);
        let operators = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "and", "or", "not"];
        let can = json!({"users": true, "groups": true, "patch": true, "put": true, "filters": operators,
            "bulk": true, "etag": true});
        assert_eq!(nothing["capabilities"], can);
        authd.operate("scim.set", with(json!({"status": "draft"}))).await;
        assert_eq!(failing(&validate().await), ["scim_config_active"]);
        let token = authd.operate("scim.set", with(json!({"status": "active"}))).await;
        assert!(token.get("token").is_none(), "it has one");
        assert_eq!(validate().await["ok"], true);
        let all = authd.operate("scim.token.list", place.clone()).await;
        for token in all["items"].as_array().unwrap() {
            authd.operate("scim.token.revoke", json!({"id": token["id"]})).await;
        }
        assert_eq!(failing(&validate().await), ["token_hash_set"]);
        authd.operate("scim.token.create", place.clone()).await;
        let reuse = |word: &str| {
            json!({"organization": scene.organization,
                "patch": {"provisioning": {"scimReuse": {"user": word}}}})
        };
        authd.operate("policy.update", reuse("none")).await;
        assert_eq!(failing(&validate().await), ["user_external_id_reuse_enabled"]);
        authd.operate("policy.update", reuse("externalId")).await;
        assert_eq!(validate().await["ok"], true);
    }
}
