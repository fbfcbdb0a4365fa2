//! The authorization request (OpenID Connect Core §3.1.2.1), and what is kept of it until the answer.

use minicbor::{Decode, Encode};

use super::check::RESERVED;
use super::config::Config;
use super::discovery::Metadata;
use crate::access::Context;
use crate::connection::callback_url;
use crate::connection::protocol::{Begin, BeginRequest, open_kept, seal_kept};
use crate::crypto::{base64url, same, sha256};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::ConnectionId;

/// What the answer is held against. Sealed under the master key, for this connection.
#[derive(Encode, Decode)]
pub(super) struct Kept {
    #[cbor(n(0), with = "minicbor::bytes")]
    state: [u8; 32],
    /// In the id_token.
    #[n(1)]
    pub nonce: String,
    /// The PKCE verifier (RFC 7636), which nobody but the token endpoint ever sees.
    #[n(2)]
    pub verifier: String,
    #[n(3)]
    pub began_at: Timestamp,
    #[n(4)]
    pub max_age: Option<u64>,
    /// The person had to sign in again.
    #[n(5)]
    pub force: bool,
    /// Whom the request went to.
    #[n(6)]
    pub issuer: String,
    /// As it stood in the request: the token endpoint compares it.
    #[n(7)]
    pub redirect_uri: String,
}

fn digest(state: &str) -> [u8; 32] {
    sha256(&[b"authd oidc state 1", state.as_bytes()])
}

impl Kept {
    /// Errors: `state_mismatch` for what was not sealed here, for this connection.
    pub(super) fn open(cx: &Context, connection: ConnectionId, kept: &[u8]) -> Result<Self> {
        open_kept(cx, connection, kept)
    }

    /// Whether the request had this state.
    pub(super) fn is_for(&self, state: &str) -> bool {
        same(&self.state, &digest(state))
    }
}

pub(super) fn begin(
    cx: &Context,
    connection: ConnectionId,
    config: &Config,
    metadata: &Metadata,
    request: &BeginRequest,
) -> Result<Begin> {
    let kept = Kept {
        state: digest(&request.state),
        nonce: base64url(&cx.env.random::<32>()),
        verifier: base64url(&cx.env.random::<32>()),
        began_at: cx.env.now(),
        max_age: request.max_age,
        force: request.force,
        issuer: metadata.issuer.clone(),
        redirect_uri: match &request.callback {
            Some(callback) => callback.clone(),
            None => callback_url(&cx.deployment.public_url, connection),
        },
    };
    let mut ours: Vec<(&str, String)> = vec![
        ("response_type", "code".to_owned()),
        ("client_id", config.client_id()?.to_owned()),
        ("redirect_uri", kept.redirect_uri.clone()),
        ("scope", config.request.scope()),
        ("state", request.state.clone()),
        ("nonce", kept.nonce.clone()),
        ("code_challenge", base64url(&sha256(&[kept.verifier.as_bytes()]))),
        ("code_challenge_method", "S256".to_owned()),
    ];
    if let Some(hint) = config.request.login_hint.as_ref().or(request.login_hint.as_ref()) {
        ours.push(("login_hint", hint.clone()));
    }
    let prompts: Vec<&str> = [(request.force, "login"), (request.choose, "select_account")]
        .iter()
        .filter(|one| one.0)
        .map(|one| one.1)
        .collect();
    if !prompts.is_empty() {
        ours.push(("prompt", prompts.join(" ")));
    }
    if let Some(age) = request.max_age {
        ours.push(("max_age", age.to_string()));
    }
    if !request.acr_values.is_empty() {
        ours.push(("acr_values", request.acr_values.join(" ")));
    }
    // What the endpoint's own query and the connection's parameters say gives way: no parameter stands twice.
    let gives_way = |name: &str| !RESERVED.contains(&name) && ours.iter().all(|(taken, _)| *taken != name);
    let mut url = metadata.authorization_endpoint.clone();
    let params = &config.request.authorization_params;
    let own: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| gives_way(name) && !params.contains_key(&**name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(own)
        .extend_pairs(params.iter().filter(|(name, _)| gives_way(name)))
        .extend_pairs(&ours);
    Ok(Begin::Redirect { url: url.into(), kept: seal_kept(cx, connection, &kept)? })
}
