//! `app.convex_config`: what the Convex side of an app has to be told.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::client::{App, Kind};
use super::owner;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::error::Result;
use crate::id::AppId;
use crate::store::Batch;
use crate::token::Algorithm;

/// Print the `convex/auth.config.ts` by which Convex takes the tokens of an app, and of no other.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConvexConfig {
    /// The app.
    pub id: AppId,
    /// Write the provider as a `customJwt` one, with the address of the keys and the algorithm, in the place of one that
    /// Convex discovers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub custom_jwt: bool,
}

/// The configuration for Convex.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConvexConfigView {
    /// Where it belongs.
    pub path: String,
    /// The whole file.
    pub content: String,
    /// The issuer, exactly as tokens say it.
    pub domain: String,
    /// The one audience of the app's tokens.
    #[serde(rename = "applicationID")]
    pub application_id: String,
    /// What its tokens are signed with.
    pub algorithm: Algorithm,
    /// What does not fit yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[async_trait]
impl Operation for ConvexConfig {
    type Seen = ();
    type Output = ConvexConfigView;
    const NAME: &'static str = "app.convex_config";
    const ACCESS: Access = Access::Grant(Grant::AppRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/apps/{id}/convex-config" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let app = App::load(&cx.store, self.id).await?.value;
        let url = &cx.deployment.public_url;
        let issuer = url.issuer().to_owned();
        let id = app.id.to_string();
        let jwks = url.at("/.well-known/jwks.json");
        // A JSON text is a text of TypeScript as well.
        let text = |value: &str| json!(value).to_string();
        let provider = if self.custom_jwt {
            vec![
                "type: \"customJwt\"".to_owned(),
                format!("applicationID: {}", text(&id)),
                format!("issuer: {}", text(&issuer)),
                format!("jwks: {}", text(&jwks)),
                format!("algorithm: {}", text(app.algorithm.name())),
            ]
        } else {
            vec![format!("domain: {}", text(&issuer)), format!("applicationID: {}", text(&id))]
        };
        let lines: String = provider.iter().map(|line| format!("      {line},\n")).collect();
        let content = format!("export default {{\n  providers: [\n    {{\n{lines}    }},\n  ],\n}};\n");
        let mut warnings = Vec::new();
        if app.kind != Kind::Convex {
            warnings.push(
                "The app is not of the kind convex: its access tokens are no plain `JWT`. Hand its id tokens to Convex, \
                 or register an app with `--kind convex`."
                    .to_owned(),
            );
        }
        if !url.is_https() {
            warnings.push("Convex in the cloud reaches an issuer by https only; set the public URL.".to_owned());
        }
        Ok(ConvexConfigView {
            path: "convex/auth.config.ts".to_owned(),
            content,
            domain: issuer,
            application_id: id,
            algorithm: app.algorithm,
            warnings,
        })
    }
}
