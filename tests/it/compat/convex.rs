//! The Convex client's door: its wire, its bearers, and what nobody else sees.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Told, key, organization, send};
use crate::signin::Scene;
use crate::world::authd::Authd;
use crate::world::op::{Signer, members};
use crate::world::saml::{Idp, metadata};

async fn call(authd: &Authd, kind: &str, path: &str, bearer: Option<&str>, arguments: Value) -> Told {
    let body = json!({"path": path, "format": "convex_encoded_json", "args": [arguments]});
    send(&authd.router, Method::POST, &format!("/api/{kind}"), bearer, Some(&body)).await
}

async fn right(authd: &Authd, kind: &str, name: &str, bearer: &str, arguments: Value) -> Value {
    let told = call(authd, kind, &format!("auth/group:{name}"), Some(bearer), arguments).await;
    assert_eq!((told.status.as_u16(), &told.body["status"]), (200, &json!("success")), "{name}: {told:?}");
    assert_eq!(told.body["logLines"], json!([]));
    told.body["value"].clone()
}

/// The code of a failure.
async fn wrong(authd: &Authd, kind: &str, name: &str, bearer: Option<&str>, arguments: Value) -> String {
    let told = call(authd, kind, &format!("auth/group:{name}"), bearer, arguments).await;
    assert_eq!((told.status.as_u16(), &told.body["status"]), (560, &json!("error")), "{name}: {told:?}");
    let data = told.body["errorData"].as_object().unwrap();
    assert!(data.len() == 2 && data.contains_key("message"), "{data:?}");
    data["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_connection_is_made_and_belongs_to_its_group_alone() {
    let authd = Authd::start().await;
    let (own, other) = (organization(&authd, "Own").await, organization(&authd, "Other").await);
    let (mine, theirs) = (key(&authd, &own, &["*"]).await, key(&authd, &other, &["*"]).await);
    let made = json!({"groupId": own, "protocol": "oidc", "name": "Okta", "slug": "okta", "domain": "own.example"});
    let made = right(&authd, "mutation", "createConnection", &mine, made).await;
    let id = made["connectionId"].as_str().unwrap();
    let doc = right(&authd, "query", "getConnection", &mine, json!({"id": id})).await;
    assert_eq!((&doc["_id"], &doc["status"], &doc["groupId"]), (&json!(id), &json!("draft"), &json!(own)));
    assert!(doc["_creationTime"].is_number() && doc.get("config").is_none());
    assert_eq!(right(&authd, "query", "getConnection", &theirs, json!({"id": id})).await, Value::Null);
    assert_eq!(
        right(&authd, "query", "getConnectionByDomain", &theirs, json!({"domain": "own.example"})).await,
        Value::Null
    );
    for (kind, name, arguments) in [
        ("query", "getConnectionStatus", json!({"connectionId": id})),
        ("query", "listDomains", json!({"connectionId": id})),
        ("mutation", "updateConnection", json!({"id": id, "patch": {"name": "x"}})),
        ("mutation", "deleteConnection", json!({"id": id})),
        ("mutation", "setOidc", json!({"connectionId": id, "client": {"id": "c"}})),
        ("query", "getPolicy", json!({"groupId": own})),
        ("query", "listAudit", json!({"connectionId": id, "paginationOpts": {"numItems": 1, "cursor": null}})),
        ("mutation", "createConnection", json!({"groupId": own, "protocol": "oidc"})),
    ] {
        assert_eq!(wrong(&authd, kind, name, Some(&theirs), arguments.clone()).await, "INVALID_PARAMETERS", "{name}");
        assert_eq!(wrong(&authd, kind, name, None, arguments).await, "NOT_SIGNED_IN", "{name}");
    }
    let weak = key(&authd, &own, &["connection.read"]).await;
    assert_eq!(wrong(&authd, "mutation", "deleteConnection", Some(&weak), json!({"id": id})).await, "MISSING_GRANTS");
}

#[tokio::test]
async fn a_taken_domain_has_a_code_of_its_own() {
    let authd = Authd::start().await;
    let (own, other) = (organization(&authd, "Own").await, organization(&authd, "Other").await);
    let first = json!({"organization": own, "protocol": "oidc", "name": "A", "domains": ["a.example"], "vouch": true});
    authd.operate("connection.create", first).await;
    let bearer = key(&authd, &other, &["*"]).await;
    let claim = json!({"groupId": other, "protocol": "oidc", "domain": "a.example"});
    // A claim alone blocks nobody, and is blocked by nobody.
    right(&authd, "mutation", "createConnection", &bearer, claim).await;
    let second = json!({"name": "B", "protocol": "oidc", "issuerUrl": "http://127.0.0.1:1", "clientId": "c",
        "clientSecret": "s", "domains": ["a.example"]});
    let told = send(&authd.router, Method::POST, "/v1/sso/connections", Some(&bearer), Some(&second)).await;
    assert_eq!((told.status.as_u16(), &told.body["reason"]), (409, &json!("domain_taken")), "{told:?}");
}

#[tokio::test]
async fn what_is_no_function_has_no_data() {
    let authd = Authd::start().await;
    let own = organization(&authd, "Own").await;
    let bearer = key(&authd, &own, &["*"]).await;
    for (kind, path) in [
        ("query", "auth/group:nothing"),
        ("query", "other:getPolicy"),
        ("query", ""),
        ("mutation", "auth/group:getPolicy"),
        ("query", "auth/group:createConnection"),
    ] {
        let told = call(&authd, kind, path, Some(&bearer), json!({})).await;
        assert_eq!(told.status.as_u16(), 560, "{path}");
        assert!(told.body.get("errorData").is_none() && told.body["errorMessage"].is_string(), "{told:?}");
    }
    for body in [json!([]), json!({}), json!({"path": 5}), json!({"path": "auth/group:getPolicy", "format": "xml"})] {
        let told = send(&authd.router, Method::POST, "/api/query", Some(&bearer), Some(&body)).await;
        assert_eq!(told.status.as_u16(), 400, "{body}");
    }
    // What is too much of an argument is told as every other: the client shows data of 560 only.
    let deep = (0..40).fold(json!("x"), |inner, _| json!([inner]));
    for big in [deep, json!("x".repeat(2 << 20))] {
        let told = call(&authd, "query", "auth/group:getPolicy", Some(&bearer), json!({"groupId": big})).await;
        assert_eq!((told.status.as_u16(), &told.body["errorData"]["code"]), (560, &json!("INVALID_PARAMETERS")));
    }
    let two = json!({"path": "auth/group:getPolicy", "args": [{"groupId": own}, {}]});
    let told = send(&authd.router, Method::POST, "/api/query", Some(&bearer), Some(&two)).await;
    assert_eq!(told.body["errorData"]["code"], "INVALID_PARAMETERS");
}

#[tokio::test]
async fn op_14_an_id_token_opens_nothing_and_signing_out_ends_the_token() {
    let scene = Scene::new().await;
    let authd = &scene.authd;
    let landed = scene.sign_in(&mut authd.browser()).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    for name in ["id_token", "access_token"] {
        // The access token is for an app, whose issuer the organization has not registered.
        let bearer = tokens[name].as_str().unwrap();
        let refused = wrong(authd, "query", "getPolicy", Some(bearer), json!({"groupId": scene.organization})).await;
        assert_eq!(refused, "NOT_SIGNED_IN", "{name}");
    }
    let issue = json!({"organization": scene.organization, "role": "owner"});
    let own = authd.operate("token.issue", issue).await["access_token"].as_str().unwrap().to_owned();
    let group = json!({"groupId": scene.organization});
    right(authd, "query", "getPolicy", &own, group.clone()).await;
    let out = call(authd, "action", "auth:signOut", Some(&own), json!({})).await;
    assert_eq!(out.body["value"], Value::Null);
    assert_eq!(wrong(authd, "query", "getPolicy", Some(&own), group).await, "NOT_SIGNED_IN");
    // Whoever is not signed in is signed out already.
    let nobody = call(authd, "action", "auth:signOut", None, json!({})).await;
    assert_eq!(nobody.body["status"], "success");
}

#[tokio::test]
async fn an_app_whose_issuer_is_registered_speaks_for_its_people_by_their_roles() {
    let scene = Scene::new().await;
    let authd = &scene.authd;
    let trust = json!({"organization": scene.organization, "name": "authd", "kind": "oidc", "domain": "http://127.0.0.1:8080",
        "applicationID": scene.app});
    let cx = authd.app.context(authd::access::Caller::Operator { uid: 0 }, authd::event::Origin::internal(authd.env()));
    if let Err(error) = authd.app.perform(&cx, "issuer.create", trust).await {
        panic!("{error:?}");
    }
    let landed = scene.sign_in(&mut authd.browser()).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let (id, access) = (tokens["id_token"].as_str().unwrap(), tokens["access_token"].as_str().unwrap());
    let group = json!({"groupId": scene.organization});
    assert_eq!(wrong(authd, "query", "getPolicy", Some(id), group.clone()).await, "NOT_SIGNED_IN");
    assert_eq!(wrong(authd, "query", "getPolicy", Some(access), group.clone()).await, "MISSING_GRANTS");
    let people = authd.operate("user.list", json!({"organization": scene.organization})).await;
    let user = people["items"][0]["id"].clone();
    authd
        .operate("member.set_role", json!({"organization": scene.organization, "user": user, "roles": ["owner"]}))
        .await;
    right(authd, "query", "getPolicy", access, group.clone()).await;
    // Signing out ends the session, and the token with it.
    call(authd, "action", "auth:signOut", Some(access), json!({})).await;
    assert_eq!(wrong(authd, "query", "getPolicy", Some(access), group).await, "NOT_SIGNED_IN");
}

/// Two groups trust the same issuer for the same audience. What is asked for says which of them is meant; where nothing
/// does, it is whoever has known the person longest.
#[tokio::test]
async fn whom_two_groups_trust_is_of_the_group_that_is_asked_for() {
    for others_first in [false, true] {
        let authd = Authd::start().await;
        let (own, other) = (organization(&authd, "Own").await, organization(&authd, "Other").await);
        let signer = Signer::es256("k");
        let keys = json!({"keys": [signer.jwk()]});
        let order = if others_first { [&other, &own] } else { [&own, &other] };
        for group in order {
            authd
                .operate(
                    "issuer.create",
                    json!({"organization": group, "kind": "customJwt", "issuer": "https://idp.example", "algorithm": "ES256",
                        "jwks": format!("data:,{keys}"), "applicationID": "app", "storeUsers": true}),
                )
                .await;
        }
        let now = authd.env().now().seconds();
        let claims =
            members(json!({"iss": "https://idp.example", "aud": "app", "sub": "1", "iat": now, "exp": now + 600}));
        let bearer = signer.token(&signer.header(), &claims);
        let owner = async |group: &str| {
            // The first call makes the person known to the group.
            let refused = wrong(&authd, "query", "getPolicy", Some(&bearer), json!({"groupId": group})).await;
            assert_eq!(refused, "MISSING_GRANTS");
            let people = authd.operate("user.list", json!({"organization": group})).await;
            let user = people["items"][0]["id"].clone();
            authd.operate("member.set_role", json!({"organization": group, "user": user, "roles": ["owner"]})).await;
            let domain = format!("{}.example", group.replace('_', "-"));
            let made = json!({"groupId": group, "protocol": "oidc", "name": "IdP", "domain": domain});
            right(&authd, "mutation", "createConnection", &bearer, made).await["connectionId"].clone()
        };
        let mine = owner(&own).await;
        let seen = async |group: &str| {
            let domain = json!({"domain": format!("{}.example", group.replace('_', "-"))});
            right(&authd, "query", "getConnectionByDomain", &bearer, domain).await["connection"]["_id"].clone()
        };
        assert_eq!(seen(&own).await, mine);
        authd.env().advance(std::time::Duration::from_secs(1));
        let theirs = owner(&other).await;
        // Nothing is named, and their group has come later.
        assert_eq!((seen(&own).await, seen(&other).await), (mine.clone(), Value::Null));
        for (group, connection) in [(&own, &mine), (&other, &theirs)] {
            let listed = json!({"where": {"groupId": group}, "paginationOpts": {"numItems": 5, "cursor": null}});
            let listed = right(&authd, "query", "listConnections", &bearer, listed).await;
            assert_eq!((&listed["page"][0]["_id"], listed["page"].as_array().unwrap().len()), (connection, 1));
            let doc = right(&authd, "query", "getConnection", &bearer, json!({"id": connection})).await;
            assert_eq!(doc["groupId"], json!(group));
            right(&authd, "query", "listDomains", &bearer, json!({"connectionId": connection})).await;
        }
    }
}

#[tokio::test]
async fn a_sign_in_leads_only_where_an_app_is() {
    let scene = Scene::new().await;
    let authd = &scene.authd;
    let found = call(authd, "query", "auth/group:signIn", None, json!({"email": "x@corp.example"})).await;
    let path = found.body["value"]["signInPath"].as_str().unwrap().to_owned();
    assert_eq!(found.body["value"]["connectionId"], scene.connection);
    let mut browser = authd.browser();
    let left = browser.get(&path).await;
    assert!(left.location().as_str().starts_with(&scene.op.issuer));
    let evil = json!({"email": "x@corp.example", "redirectTo": "https://evil.example/"});
    assert_eq!(wrong(authd, "query", "signIn", None, evil).await, "INVALID_PARAMETERS");
    let forged = format!("{path}&redirect_to=https%3A%2F%2Fevil.example%2F");
    assert_eq!(browser.get(&forged).await.status.as_u16(), 400);
    let none = call(authd, "query", "auth/group:signIn", None, json!({"domain": "nobody.example"})).await;
    assert_eq!(none.body["errorData"]["message"], "No group connection matched the provided input.");
    let none = call(authd, "query", "auth/group:signInLookup", None, json!({"domain": "nobody.example"})).await;
    assert_eq!((&none.body["status"], &none.body["value"]), (&json!("success"), &Value::Null));
}

#[tokio::test]
async fn a_connection_begins_in_any_status_and_what_is_no_id_is_that_of_nothing() {
    let authd = Authd::start().await;
    let own = organization(&authd, "Own").await;
    let bearer = key(&authd, &own, &["*"]).await;
    for status in ["draft", "active", "disabled"] {
        let made = json!({"groupId": own, "protocol": "oidc", "status": status, "slug": status});
        let made = right(&authd, "mutation", "createConnection", &bearer, made).await;
        let doc = right(&authd, "query", "getConnection", &bearer, json!({"id": made["connectionId"]})).await;
        assert_eq!(doc["status"], status);
    }
    for id in ["", "nothing", "org_00000000000000000000000000", "conn_00000000000000000000000000"] {
        assert_eq!(right(&authd, "query", "getConnection", &bearer, json!({"id": id})).await, Value::Null, "{id}");
    }
    for id in [json!(7), json!(null), json!({})] {
        let refused = wrong(&authd, "query", "getConnection", Some(&bearer), json!({"id": id})).await;
        assert_eq!(refused, "INVALID_PARAMETERS");
    }
}

#[tokio::test]
async fn a_refusal_names_the_argument() {
    let authd = Authd::start().await;
    let own = organization(&authd, "Own").await;
    let bearer = key(&authd, &own, &["*"]).await;
    let page = json!({"numItems": 1, "cursor": null});
    let nowhere = "conn_00000000000000000000000000";
    for (kind, path, arguments, names) in [
        ("mutation", "auth/group:createConnection", json!({"groupId": own, "protocol": "oidc", "slug": ""}), "`slug`"),
        (
            "mutation",
            "auth/group:createConnection",
            json!({"groupId": "org_00000000000000000000000000", "protocol": "oidc"}),
            "`groupId`",
        ),
        (
            "query",
            "auth/group:listConnections",
            json!({"where": {"groupId": own, "nmae": "x"}, "paginationOpts": page}),
            "`where.nmae`",
        ),
        (
            "query",
            "auth/group:listConnections",
            json!({"where": {"groupId": own, "slug": 5}, "paginationOpts": page}),
            "`where.slug`",
        ),
        (
            "query",
            "auth/group:listConnections",
            json!({"where": {"groupId": own}, "paginationOpts": {"numItems": -1}}),
            "`paginationOpts.numItems`",
        ),
        (
            "query",
            "auth/group:listConnections",
            json!({"where": {"groupId": own}, "paginationOpts": {"numItems": 1, "pag": 1}}),
            "`paginationOpts.pag`",
        ),
        ("mutation", "auth/group:updateConnection", json!({"id": nowhere, "patch": {"name": "x"}}), "`id`"),
        (
            "mutation",
            "auth/group:updateConnection",
            json!({"id": nowhere, "patch": {"status": "on"}}),
            "`patch.status`",
        ),
        ("query", "auth/group:getOidc", json!({"connectionId": nowhere}), "`connectionId`"),
        (
            "mutation",
            "auth/group:setDomains",
            json!({"connectionId": nowhere, "domains": [{"domain": ""}]}),
            "`domains[0].domain`",
        ),
        (
            "mutation",
            "auth/group:createConnection",
            json!({"groupId": own, "protocol": "oidc", "domain": "co.uk"}),
            "`domain`",
        ),
        ("mutation", "auth/group:setOidc", json!({"connectionId": nowhere, "client": ["id", "secret"]}), "`client`"),
        (
            "action",
            "auth/group:setSaml",
            json!({"connectionId": nowhere, "profile": {"mapping": []}}),
            "`profile.mapping`",
        ),
        ("mutation", "auth/group:setScim", json!({"connectionId": nowhere, "security": []}), "`security`"),
        ("query", "auth/group:getPolicy", json!({"groupId": "org_00000000000000000000000000"}), "`groupId`"),
        (
            "mutation",
            "auth/group:disableWebhookEndpoint",
            json!({"endpointId": "whe_00000000000000000000000000"}),
            "`endpointId`",
        ),
        (
            "action",
            "auth:signIn",
            json!({"provider": "password", "params": {"email": "a@b.example", "password": "x"}}),
            "`provider`",
        ),
        ("action", "auth:signIn", json!({"params": {"email": 5}}), "`params.email`"),
    ] {
        let told = call(&authd, kind, path, Some(&bearer), arguments.clone()).await;
        let data = &told.body["errorData"];
        assert_eq!(data["code"], "INVALID_PARAMETERS", "{path} {arguments}: {told:?}");
        assert!(data["message"].as_str().unwrap().contains(names), "{path} {arguments}: {data}");
    }
}

#[tokio::test]
async fn saml_and_its_domains_are_set_together_or_not_at_all() {
    let authd = Authd::start().await;
    let own = organization(&authd, "Own").await;
    let all = key(&authd, &own, &["*"]).await;
    let narrow = key(&authd, &own, &["connection.read", "connection.protocol.manage"]).await;
    let made = json!({"groupId": own, "protocol": "saml", "name": "Entra"});
    let id = right(&authd, "mutation", "createConnection", &all, made).await["connectionId"].clone();
    let metadata = json!({"xml": metadata(&Idp::new(), false)});
    let set = |domains: Value| json!({"connectionId": id, "metadata": metadata, "domains": domains});
    let refused = wrong(&authd, "action", "setSaml", Some(&narrow), set(json!(["corp.example"]))).await;
    assert_eq!(refused, "MISSING_GRANTS");
    for domains in [
        json!(["com"]),
        json!([{"domain": "a.example", "isPrimary": true}, {"domain": "b.example", "isPrimary": true}]),
    ] {
        let refused = wrong(&authd, "action", "setSaml", Some(&all), set(domains)).await;
        assert_eq!(refused, "INVALID_PARAMETERS");
    }
    let config = right(&authd, "query", "getSaml", &all, json!({"connectionId": id})).await;
    assert!(config.get("identityProvider").is_none(), "{config}");
    assert_eq!(right(&authd, "query", "listDomains", &all, json!({"connectionId": id})).await, json!([]));

    right(&authd, "action", "setSaml", &all, set(json!([{"domain": "corp.example"}, "lab.example"]))).await;
    let config = right(&authd, "query", "getSaml", &all, json!({"connectionId": id})).await;
    assert_eq!(config["metadata"]["entityId"], config["identityProvider"]["entityId"]);
    assert!(config["identityProvider"]["certificates"][0]["notAfter"].is_number(), "times are milliseconds: {config}");
    let domains = right(&authd, "query", "listDomains", &all, json!({"connectionId": id})).await;
    let names: Vec<&Value> = domains.as_array().unwrap().iter().map(|one| &one["domain"]).collect();
    assert_eq!(names, ["corp.example", "lab.example"]);
    right(&authd, "action", "setSaml", &narrow, json!({"connectionId": id, "request": {"forceAuthn": true}})).await;
    // The domains alone, without a word about the provider.
    right(&authd, "action", "setSaml", &all, json!({"connectionId": id, "domains": ["lab.example"]})).await;
    let domains = right(&authd, "query", "listDomains", &all, json!({"connectionId": id})).await;
    assert_eq!((domains.as_array().unwrap().len(), &domains[0]["isPrimary"]), (1, &json!(true)));
}
