//! Directories that provision by SCIM 2.0, over the real routes.

mod access;
mod bulk;
mod config;
mod entra;
mod lists;
mod okta;
mod pipeline;
mod requests;
mod scale;
mod simulate;
mod tokens;

use authd::http::Peer;
use authd::id::{OrganizationId, UserId};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::signin::Scene;

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A directory with its token.
#[derive(Clone)]
pub struct Directory {
    router: Router,
    pub token: String,
    pub id: String,
    /// `/scim/v2`, or a connection's.
    pub base: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id: {self:?}")).to_owned()
    }

    #[track_caller]
    pub fn etag(&self) -> String {
        self.headers[header::ETAG].to_str().unwrap().to_owned()
    }

    /// Status and keyword of a refusal; its form is the error of RFC 7644.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String) {
        assert!(self.status >= 400, "{self:?}");
        assert_eq!(self.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{self:?}");
        assert_eq!(self.body["status"], self.status.to_string());
        assert!(self.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/scim+json");
        (self.status, self.body["scimType"].as_str().unwrap_or_default().to_owned())
    }

    #[track_caller]
    pub fn done(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The resources of a list.
    #[track_caller]
    pub fn resources(&self) -> &[Value] {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body["Resources"].as_array().unwrap_or_else(|| panic!("no list: {self:?}"))
    }
}

impl Directory {
    /// With a new token: of a connection, or of the organization's own directory.
    pub async fn of(scene: &Scene, connection: Option<&str>) -> Self {
        Self::within(scene, &scene.organization, connection).await
    }

    pub async fn within(scene: &Scene, organization: &str, connection: Option<&str>) -> Self {
        let wish = match connection {
            Some(connection) => json!({"organization": organization, "connection": connection}),
            None => json!({"organization": organization}),
        };
        let made = scene.authd.operate("scim.token.create", wish).await;
        let (token, id) = (made["token"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned());
        Self { router: scene.authd.router.clone(), token, id, base: "/scim/v2".to_owned() }
    }

    /// A request, with more headers.
    pub async fn send(&self, method: &str, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        self.raw(method, path, body, headers).await
    }

    pub async fn raw(&self, method: &str, path: &str, body: Option<Vec<u8>>, headers: &[(&str, &str)]) -> Answer {
        let path = match path.strip_prefix("http://127.0.0.1:8080") {
            Some(path) => path.to_owned(),
            None => format!("{}{path}", self.base),
        };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8080");
        if !self.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(header::CONTENT_TYPE, "application/scim+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.map_or_else(Body::empty, Body::from)).unwrap();
        request.extensions_mut().insert(Peer::Tcp("198.51.100.9:5000".parse().unwrap()));
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, 16 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[]).await
    }

    pub async fn filter(&self, endpoint: &str, filter: &str) -> Answer {
        self.get(&format!("/{endpoint}?filter={}", encoded(filter))).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body), &[]).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(body), &[]).await
    }

    /// One PATCH of these operations.
    pub async fn patch(&self, path: &str, operations: Value) -> Answer {
        self.send("PATCH", path, Some(json!({"schemas": [PATCH_OP], "Operations": operations})), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, &[]).await
    }

    /// A person of that user name.
    pub async fn person(&self, name: &str) -> String {
        self.post("/Users", json!({"schemas": [USER], "userName": name, "externalId": format!("ext-{name}")}))
            .await
            .done(201)
            .id()
    }

    /// A group with these members.
    pub async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        self.post("/Groups", json!({"schemas": [GROUP], "displayName": name, "members": members})).await.done(201).id()
    }

    /// The ids of a group's members.
    pub async fn members(&self, group: &str) -> Vec<String> {
        let group = self.get(&format!("/Groups/{group}")).await.done(200);
        let members = group.body["members"].as_array().cloned().unwrap_or_default();
        members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What authd knows of somebody.
pub async fn member(scene: &Scene, user: &str) -> Option<authd::directory::Membership> {
    let (organization, user): (OrganizationId, UserId) = (scene.organization.parse().unwrap(), user.parse().unwrap());
    let key = authd::directory::Membership::key_of(organization, user);
    scene.authd.app.world.store.get(key).await.unwrap().map(|found| found.value)
}
