//! What a page somewhere else makes a browser send.

use authd::event::Origin;
use authd::http::Peer;
use authd::session::{Epochs, NewSession, Session};
use authd::store::Batch;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::json;
use tower::ServiceExt as _;

use super::Tenant;

const HOST: (&str, &str) = ("host", "127.0.0.1:8080");
const JSON: (&str, &str) = ("content-type", "application/json");
const EVIL: (&str, &str) = ("origin", "https://evil.example");

async fn send(
    tenant: &Tenant,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (StatusCode, HeaderMap) {
    let mut request =
        Request::builder().method(method).uri(uri).extension(Peer::Tcp("127.0.0.1:5000".parse().unwrap()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = tenant.authd.router.clone().oneshot(request).await.unwrap();
    (response.status(), response.headers().clone())
}

#[tokio::test]
async fn adm_05_no_foreign_page_or_name_acts_on_the_api() {
    let tenant = Tenant::new().await;
    let key = format!("Bearer {}", tenant.key(&["*"]).await);
    let key = ("authorization", key.as_str());
    let app = json!({"organization": tenant.id, "name": "Page", "redirectUris": ["https://page.example/cb"], "kind": "spa",
        "public": true});
    tenant.authd.operate("app.create", app).await;
    let wish = json!({"name": "X", "redirectUris": ["https://x.example/cb"]}).to_string();
    let before = tenant.authd.app.world.store.counts().await.unwrap();

    // Another name for this address: DNS rebinding, also with a key in hand.
    for host in
        ["evil.example", "evil.example:8080", "127.0.0.1.evil.example:8080", "localhost.evil.example", "0.0.0.0:8080"]
    {
        let (status, _) = send(&tenant, "POST", "/v1/apps", &[("host", host), key, JSON], &wish).await;
        assert_eq!(status, 421, "{host}");
    }
    let (status, _) = send(&tenant, "POST", "/v1/apps", &[HOST, ("host", "evil.example"), key, JSON], &wish).await;
    assert_eq!(status, 421, "two names");
    let (status, _) = send(&tenant, "POST", "http://evil.example/v1/apps", &[HOST, key, JSON], &wish).await;
    assert_eq!(status, 421, "a name in the address");

    // What a form or a simple request can send is not read, whoever sends it.
    for kind in [
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("text/plain; application/json"),
        Some("application/jsonp"),
        None,
    ] {
        let mut headers = vec![HOST, key, EVIL];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        let (status, _) = send(&tenant, "POST", "/v1/apps", &headers, &wish).await;
        assert_eq!(status, 415, "{kind:?}");
    }

    // No page of another origin reads an answer, not even one of an app that is registered; none may ask to send.
    for origin in ["https://evil.example", "https://page.example", "null", "http://127.0.0.1:8080.evil.example"] {
        let ask = [
            HOST,
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization, content-type"),
        ];
        let (status, headers) = send(&tenant, "OPTIONS", "/v1/apps", &ask, "").await;
        assert!(status.is_client_error(), "{origin}: {status}");
        let (_, plain) = send(&tenant, "GET", "/v1/apps", &[HOST, key, ("origin", origin)], "").await;
        for headers in [headers, plain] {
            assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{origin}: {headers:?}");
        }
    }

    // A method is the method: no header or field makes a GET a DELETE.
    for name in ["x-http-method-override", "x-method-override", "x-http-method"] {
        let (status, _) = send(&tenant, "GET", "/v1/apps?limit=1", &[HOST, key, (name, "DELETE")], "").await;
        assert_eq!(status, 200);
    }
    let after = tenant.authd.app.world.store.counts().await.unwrap();
    assert_eq!((before.get("app"), before.get("api_key")), (after.get("app"), after.get("api_key")));
}

#[tokio::test]
async fn adm_05_a_sessions_cookie_is_no_credential_of_the_api() {
    let tenant = Tenant::new().await;
    let (owner, _) = tenant.person("owner", &["owner"]).await;
    let app = &tenant.authd.app;
    let cx = app.context(authd::access::Caller::System, Origin::internal(tenant.authd.env()));
    let mut batch = Batch::new();
    let new = NewSession {
        organization: tenant.id,
        user: owner,
        connection: None,
        under: Epochs::default(),
        auth_time: cx.env.now(),
        acr: None,
        amr: Vec::new(),
        upstream_session: None,
        upstream_subject: None,
        break_glass: None,
        handed: false,
        email: None,
        until: None,
    };
    let opened = Session::open(&cx, new, &mut batch).await.unwrap();
    app.world.store.commit(batch).await.unwrap();
    let cookie = ["authd_session", "__Host-authd_session", "session"]
        .map(|name| format!("{name}={}", opened.cookie.expose()))
        .join("; ");
    for operation in app.catalogue.iter() {
        let path = operation.route().path.replace(['{', '}'], "");
        let method = format!("{:?}", operation.route().method).to_uppercase();
        let (status, _) = send(&tenant, &method, &path, &[HOST, JSON, ("cookie", &cookie)], "{}").await;
        assert_eq!(status, 401, "{}", operation.name());
    }
}
