//! The operations on apps: who may register what.

use authd::access::{Caller, Grants, Role, perform};
use authd::id::OrganizationId;
use authd::provider::{App, CreateApp, DeleteApp, GetApp, ListApps, Reach, UpdateApp};
use authd::session::{Epochs, Scope};
use authd::token::{ApiKey, CreateApiKey};
use serde_json::{Value, json};

use super::{CALLBACK, Lab};

fn create(organization: OrganizationId, more: Value) -> CreateApp {
    let mut input = json!({"organization": organization, "name": "App", "redirectUris": [CALLBACK]});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(input).unwrap()
}

fn tenant(organization: OrganizationId) -> Caller {
    Caller::User { id: None, organization, grants: Role::Owner.grants() }
}

#[tokio::test]
async fn an_app_reaches_no_further_than_its_maker_sees() {
    let lab = Lab::new().await;
    let (own, other) = (lab.organization("Own").await, lab.organization("Other").await);
    let cx = lab.context(tenant(own));
    let code = async |organizations: String| {
        perform(&cx, &create(own, json!({"organizations": organizations}))).await.map(drop).map_err(|e| e.code())
    };
    assert_eq!(code("own".into()).await, Ok(()));
    assert_eq!(code(own.to_string()).await, Ok(()));
    assert_eq!(code("all".into()).await, Err("operator_only"));
    assert_eq!(code(other.to_string()).await, Err("not_found"));
    assert_eq!(code(format!("{own},{other}")).await, Err("not_found"));
    // A key with every grant is still one tenant's.
    let key = json!({"organization": own, "name": "k", "grants": ["*"]});
    let key = lab.perform(serde_json::from_value::<CreateApiKey>(key).unwrap()).await.key;
    let keyed = ApiKey::authenticate(&lab.context(Caller::Anonymous), key.expose()).await.unwrap();
    let keyed = lab.context(keyed);
    let refused = perform(&keyed, &create(own, json!({"organizations": "all"}))).await.unwrap_err();
    assert_eq!(refused.code(), "operator_only");

    let app = lab.app(own, json!({})).await;
    let wider = UpdateApp {
        organizations: Some("all".parse().unwrap()),
        ..serde_json::from_value(json!({"id": app.id})).unwrap()
    };
    assert_eq!(perform(&cx, &wider).await.unwrap_err().code(), "operator_only");
    assert_eq!(perform(&cx, &create(other, json!({}))).await.unwrap_err().code(), "not_found");
    let all = lab.app(own, json!({"organizations": "all"})).await;
    assert_eq!(App::load(lab.store(), all.id).await.unwrap().reach(), Reach::All);
    let two = lab.app(own, json!({"organizations": [own, other]})).await;
    let reach = App::load(lab.store(), two.id).await.unwrap().reach();
    assert!(reach.includes(own) && reach.includes(other) && reach != Reach::All);
    let unknown = create(own, json!({"organizations": "org_00000000000000000000000000"}));
    assert_eq!(perform(&lab.operator(), &unknown).await.unwrap_err().code(), "not_found");
}

#[tokio::test]
async fn jwt_02_no_tenant_has_tokens_made_for_the_api_of_another_or_of_authd() {
    let lab = Lab::new().await;
    let (own, other) = (lab.organization("Own").await, lab.organization("Other").await);
    let api = "https://api.own.example";
    let theirs = lab.app(own, json!({"audience": api})).await;
    let cx = lab.context(tenant(other));
    let mine = perform(&cx, &create(other, json!({}))).await.unwrap().client_id;
    let issuer = cx.deployment.public_url.issuer().to_owned();
    let unknown = "app_00000000000000000000000000";
    let refused = [
        (api.to_owned(), "taken"),
        (theirs.id.to_string(), "invalid_input"),
        (unknown.to_owned(), "invalid_input"),
        (issuer.clone(), "invalid_input"),
        (format!("{issuer}/"), "invalid_input"),
        (format!("{issuer}/API"), "invalid_input"),
    ];
    let mut said = Vec::new();
    for (audience, code) in refused {
        let new = perform(&cx, &create(other, json!({"audience": audience}))).await.unwrap_err();
        let change: UpdateApp = serde_json::from_value(json!({"id": mine, "audience": audience})).unwrap();
        let changed = perform(&cx, &change).await.unwrap_err();
        assert_eq!((new.code(), changed.code()), (code, code), "{audience}");
        said.push(new.message().to_owned());
    }
    assert_eq!(said[1], said[2], "whose client id it is, or nobody's, is not told");
    // What is one's own may be shared among one's own apps, and the operator shares what is the deployment's.
    for audience in ["https://api.other.example".to_owned(), "https://api.other.example".to_owned(), mine.to_string()] {
        perform(&cx, &create(other, json!({"audience": audience}))).await.unwrap();
    }
    perform(&lab.operator(), &create(other, json!({"audience": api}))).await.unwrap();
    // An app keeps what it has, whatever else of it is changed.
    let shared = lab.app(other, json!({"audience": theirs.id.to_string()})).await;
    let rename: UpdateApp = serde_json::from_value(json!({"id": shared.id, "name": "New"})).unwrap();
    perform(&cx, &rename).await.unwrap();
}

#[tokio::test]
async fn every_operation_on_apps_needs_its_grant_and_another_tenants_app_does_not_exist() {
    let lab = Lab::new().await;
    let (own, other) = (lab.organization("Own").await, lab.organization("Other").await);
    let app = lab.app(own, json!({})).await.id;
    let nobody = Caller::User { id: None, organization: own, grants: Grants::none() };
    for (caller, expected) in
        [(nobody, "missing_grant"), (tenant(other), "not_found"), (Caller::Anonymous, "not_signed_in")]
    {
        let cx = lab.context(caller);
        let listed = ListApps { organization: Some(own), paging: Default::default() };
        let update = serde_json::from_value::<UpdateApp>(json!({"id": app, "name": "x"})).unwrap();
        let rotate = authd::provider::RotateAppSecret { id: app, overlap_seconds: None };
        for code in [
            perform(&cx, &create(own, json!({}))).await.unwrap_err().code(),
            perform(&cx, &GetApp { id: app }).await.unwrap_err().code(),
            perform(&cx, &listed).await.unwrap_err().code(),
            perform(&cx, &update).await.unwrap_err().code(),
            perform(&cx, &rotate).await.unwrap_err().code(),
            perform(&cx, &DeleteApp { id: app }).await.unwrap_err().code(),
        ] {
            assert_eq!(code, expected);
        }
    }
}

#[tokio::test]
async fn an_app_is_shown_changed_and_deleted() {
    let lab = Lab::new().await;
    let own = lab.organization("Own").await;
    let before = lab.commit_number().await;
    let client = lab.app(own, json!({"alg": "RS256", "origins": ["https://page.example.com"]})).await;
    assert_eq!(lab.commit_number().await - before, 2, "its key comes in the same commit");
    let secret = client.secret.clone().unwrap();
    assert!(secret.starts_with("cs_") && secret.len() > 40);
    let view = serde_json::to_value(lab.perform(GetApp { id: client.id }).await).unwrap();
    assert_eq!(view["clientId"], client.id.to_string());
    assert_eq!((&view["alg"], &view["organizations"], &view["kind"]), (&json!("RS256"), &json!("own"), &json!("web")));
    assert!(!view.to_string().contains(&secret[3..]) && view.get("clientSecret").is_none());
    let update = json!({"id": client.id, "name": "New", "organizations": own, "tokenSeconds": 60});
    let update = serde_json::from_value::<UpdateApp>(update).unwrap();
    let view = serde_json::to_value(lab.perform(update).await).unwrap();
    assert_eq!((&view["name"], &view["tokenSeconds"]), (&json!("New"), &json!(60)));
    assert_eq!(view["redirectUris"], json!([CALLBACK]), "what is left out stays");
    assert_eq!(lab.perform(ListApps { organization: Some(own), paging: Default::default() }).await.items.len(), 1);
    let made_before = Epochs::capture(lab.store(), &[Scope::App(client.id)]).await.unwrap();
    lab.perform(DeleteApp { id: client.id }).await;
    assert!(!made_before.hold(lab.store()).await.unwrap(), "whatever it was given has ended");
    assert_eq!(perform(&lab.operator(), &GetApp { id: client.id }).await.unwrap_err().code(), "not_found");
    let created = perform(&lab.operator(), &create(own, json!({"kind": "spa"}))).await.unwrap();
    let created = serde_json::to_value(created).unwrap();
    assert_eq!(created.as_object().unwrap().keys().collect::<Vec<_>>(), ["clientId"], "no secret to keep");
}

#[tokio::test]
async fn what_cannot_be_an_app_is_refused() {
    let lab = Lab::new().await;
    let own = lab.organization("Own").await;
    for more in [
        json!({"name": " "}),
        json!({"name": "x".repeat(201)}),
        json!({"redirectUris": []}),
        json!({"redirectUris": ["https://app.example.com/cb#x"]}),
        json!({"redirectUris": ["http://app.example.com/cb"]}),
        json!({"redirectUris": ["https://*.example.com/cb"]}),
        json!({"redirectUris": ["com.example.app:/cb"]}),
        json!({"kind": "native", "redirectUris": ["javascript:alert(1)"]}),
        json!({"origins": ["*"]}),
        json!({"origins": ["https://app.example.com/path"]}),
        json!({"tokenSeconds": 59}),
        json!({"tokenSeconds": 86_401}),
    ] {
        let refused = perform(&lab.operator(), &create(own, more.clone())).await.unwrap_err();
        assert_eq!(refused.code(), "invalid_input", "{more}");
    }
    for more in [json!({"alg": "HS256"}), json!({"alg": "none"}), json!({"kind": "x"}), json!({"secret": "x"})] {
        let mut input = json!({"organization": own, "name": "App", "redirectUris": [CALLBACK]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert!(serde_json::from_value::<CreateApp>(input).is_err(), "{more}");
    }
}
