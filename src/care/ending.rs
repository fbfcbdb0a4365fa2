//! What ends: keys, secrets, tokens, certificates, proofs of domains; each with its moment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Context;
use crate::connection::domain::DomainCheck;
use crate::connection::{Connection, Status};
use crate::env::Timestamp;
use crate::error::Result;
use crate::provider;
use crate::scim::ScimToken;
use crate::store::{Query, Record, Stored};
use crate::token::ApiKey;

/// Something that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// `api_key`; `app_secret` for the secret before the last of an app; `scim_token`; `saml_certificate` for one that an
    /// identity provider signs with; `domain` for one whose proof has gone from DNS.
    pub kind: String,
    /// Its id, or that of what it belongs to: an app, a connection; the domain itself.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

impl Ending {
    fn of(kind: &str, id: impl ToString, name: &str, at: Timestamp) -> Self {
        Self { kind: kind.to_owned(), id: id.to_string(), name: name.to_owned(), at }
    }
}

/// Everything that ends in that span of time, the next first. Only what is in use: nothing that was revoked, and no
/// certificate of a connection that is off.
pub async fn ending(cx: &Context, from: Timestamp, until: Timestamp) -> Result<Vec<Ending>> {
    let within = |at: &Timestamp| *at > from && *at <= until;
    let mut found = Vec::new();
    each::<ApiKey>(cx, |key| {
        let at = key.expires_at.filter(|at| key.revoked_at.is_none() && within(at));
        found.extend(at.map(|at| Ending::of("api_key", key.id, &key.name, at)));
    })
    .await?;
    each::<provider::App>(cx, |app| {
        found.extend(app.secret_ends_at().filter(within).map(|at| Ending::of("app_secret", app.id, &app.name, at)));
    })
    .await?;
    each::<ScimToken>(cx, |token| {
        let at = token.expires_at.filter(|at| token.revoked_at.is_none() && within(at));
        found.extend(at.map(|at| Ending::of("scim_token", token.id, &token.label, at)));
    })
    .await?;
    let mut active = std::collections::BTreeSet::new();
    each::<Connection>(cx, |connection| {
        if connection.status != Status::Active || connection.deleted_at.is_some() {
            return;
        }
        active.insert(connection.id);
        let idp = connection.saml.as_ref().and_then(|saml| saml.idp.as_ref());
        let idp = idp.map(|idp| idp.read_certificates()).unwrap_or_default();
        let ends = idp.into_iter().map(|certificate| certificate.not_after).filter(within);
        found.extend(ends.map(|at| Ending::of("saml_certificate", connection.id, &connection.name, at)));
    })
    .await?;
    each::<DomainCheck>(cx, |check| {
        let at = check.failing.filter(|failing| active.contains(&check.connection) && within(&failing.loses_at));
        found.extend(at.map(|failing| Ending::of("domain", &check.name, &check.name, failing.loses_at)));
    })
    .await?;
    found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.id.cmp(&b.id)));
    Ok(found)
}

/// Every record of a kind, page by page.
pub(super) async fn each<T: Record>(cx: &Context, mut see: impl FnMut(T) + Send) -> Result<()> {
    let mut after = None;
    loop {
        let page = cx.store.page::<T>(Query::all().limit(1_000).after(after)).await?;
        page.items.into_iter().for_each(|Stored { value, .. }| see(value));
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
