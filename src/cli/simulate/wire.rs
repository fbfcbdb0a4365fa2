//! The wire to the server's HTTP door, as a directory would use it.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderValue, Method, header};
use url::Url;

use crate::config::Config;
use crate::console;
use crate::env::{Env, Request};
use crate::error::{Error, Result};
use crate::scim::simulate::{Answered, Sent, Wire};

/// The wire to the server's HTTP door.
pub struct Http {
    pub env: Env,
    /// The address, without a slash at its end.
    pub base: String,
    host: Option<HeaderValue>,
    bearer: HeaderValue,
}

impl Http {
    /// To that address alone. Errors: `config_invalid`.
    pub fn to(config: &Config, at: &Url, host_of: Option<&Url>, token: &str) -> Result<Self> {
        let authority = |url: &Url| match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let mut config = config.clone();
        // Our own server may be on a private address: it, and nothing else, may be called.
        let port = at.port_or_known_default().unwrap_or_default();
        config.outbound.allow = vec![format!("{}:{port}", at.host_str().unwrap_or_default())];
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(Error::bug)?;
        let host = host_of.map(|url| HeaderValue::try_from(authority(url))).transpose().map_err(Error::bug)?;
        Ok(Self { env: console::env(&config)?, base: at.as_str().trim_end_matches('/').to_owned(), host, bearer })
    }

    /// Errors: nobody answers there.
    pub async fn answers(&self) -> Result<()> {
        self.send(&Sent { method: "GET", path: "/ServiceProviderConfig".to_owned(), body: None }).await.map(drop)
    }
}

#[async_trait]
impl Wire for Http {
    async fn send(&self, sent: &Sent) -> Result<Answered> {
        let url = Url::parse(&format!("{}{}", self.base, sent.path)).map_err(Error::bug)?;
        let mut request = Request::get(url);
        request.method = Method::from_bytes(sent.method.as_bytes()).map_err(Error::bug)?;
        request.headers.insert(header::AUTHORIZATION, self.bearer.clone());
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/scim+json"));
        if let Some(host) = &self.host {
            request.headers.insert(header::HOST, host.clone());
        }
        if let Some(body) = &sent.body {
            request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
            request.body = body.to_string().into_bytes();
        }
        request.timeout = Duration::from_secs(30);
        let begun = self.env.monotonic();
        let answer = self.env.outbound().send(request).await?;
        let took = self.env.monotonic().saturating_sub(begun);
        Ok(Answered {
            status: answer.status,
            body: serde_json::from_slice(&answer.body).unwrap_or_default(),
            millis: u64::try_from(took.as_millis()).ok(),
        })
    }
}
