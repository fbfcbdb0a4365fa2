//! `api_key.create`, `api_key.list`, `api_key.revoke`.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{ApiKey, PREFIX};
use crate::access::{Access, Caller, Context, Grant, Grants, Method, Operation, Owner, Pages, Paging, Route};
use crate::crypto::{Opaque, Secret};
use crate::directory::{Membership, Organization};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ApiKeyId, OrganizationId, UserId};
use crate::session::{Epochs, Scope};
use crate::store::{Batch, Key, Query, Stored};

/// An API key as it is shown: without the key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyView {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// The person it speaks for; absent for a machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What it may do; of a person's key, no more than the person may when it is used.
    pub grants: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// From when on it is no good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl ApiKeyView {
    async fn of(cx: &Context, key: ApiKey) -> Result<Self> {
        Ok(Self {
            last_used_at: key.last_used(&cx.store).await?,
            id: key.id,
            organization: key.organization,
            name: key.name,
            user: key.user,
            grants: key.grants.names(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        })
    }
}

/// Create an API key, for a machine or for a person. The key is shown once and cannot be shown again.
///
/// A person's key does what it was given and the person may do at the time, and ends with their access. Nobody makes
/// one in the name of somebody else, but for the operator.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApiKey {
    /// The organization it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// What people call it.
    pub name: String,
    /// The person it speaks for. A machine's, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What it may do; `*` for everything. Nobody can give what they do not hold.
    #[schemars(extend("x-flag" = "grant"))]
    pub grants: Vec<String>,
    /// From when on it is no good (2027-01-31T00:00:00Z). Never, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// After what time it is no good: `90d`, `12h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

/// A new key, shown once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The key itself. Keep it now; it is not shown again.
    pub key: Secret,
    /// From when on it is no good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

#[async_trait]
impl Operation for CreateApiKey {
    type Seen = ();
    type Output = CreatedApiKey;
    const NAME: &'static str = "api_key.create";
    const ACCESS: Access = Access::Grant(Grant::ApiKeyManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/api-keys" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        let name = self.name.trim();
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(Error::says(
                &codes::INVALID_INPUT,
                "The name needs 1 to 200 bytes, without control characters.",
            ));
        }
        let grants = self.grants(cx)?;
        let epochs = match self.user {
            // It would outlive its person, and obey nothing that is demanded of them.
            None if matches!(cx.caller, Caller::ApiKey { user: Some(_), .. }) => {
                return Err(Error::says(
                    &codes::GRANT_EXCEEDS_CALLER,
                    "A person's key makes no key of the organization.",
                )
                .help("The person makes it, signed in; or a key of the organization does."));
            }
            None => {
                Organization::load(&cx.store, organization).await?;
                Epochs::default()
            }
            Some(user) => person(cx, organization, user).await?,
        };
        let expires_at = self.expiry(cx.env.now())?;
        let Opaque { text, hash } = Opaque::new(&cx.env, PREFIX);
        let key = ApiKey {
            id: ApiKeyId::new(&cx.env),
            organization,
            name: name.to_owned(),
            hash,
            grants,
            created_at: cx.env.now(),
            expires_at,
            revoked_at: None,
            user: self.user,
            epochs,
        };
        let mut event = cx.event(EventKind::ApiKeyCreated).within(organization).about("api_key", key.id);
        if let Some(user) = key.user {
            event = event.and("user", user);
        }
        batch.create(&key).log(event.with("name", key.name.clone()).with("grants", key.grants.names()));
        Ok(CreatedApiKey { id: key.id, key: text, expires_at })
    }
}

impl CreateApiKey {
    /// What the key may do. Errors: `invalid_input`, `grant_exceeds_caller`.
    fn grants(&self, cx: &Context) -> Result<Grants> {
        let grants = Grants::parse(&self.grants)?;
        cx.caller.may_give(&grants)?;
        // A key of the operator's may vouch for domains; it cannot make others that do.
        if grants.contains(Grant::ConnectionDomainTrust) && !cx.caller.is_operator() {
            return Err(Error::says(
                &codes::GRANT_EXCEEDS_CALLER,
                "Only the operator gives the grant to vouch for domains.",
            ));
        }
        Ok(grants)
    }

    fn expiry(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let at = match (self.expires_at, &self.expires_in) {
            (Some(_), Some(_)) => {
                return Err(Error::says(&codes::INVALID_INPUT, "The key expires at a time or after a time, not both."));
            }
            (at, None) => at,
            (None, Some(text)) => Some(now + span(text)?),
        };
        match at {
            Some(at) if at <= now => Err(Error::says(&codes::INVALID_INPUT, "The key would have expired already.")),
            at => Ok(at),
        }
    }
}

/// What a person's key is made under. Only the operator and the person themself make one: whoever holds it acts in
/// the person's name. A key is not enough, as one that leaked would make itself others that outlive it.
/// Errors: `grant_exceeds_caller`, `not_found`, `person_disabled`, `organization_disabled`.
async fn person(cx: &Context, organization: OrganizationId, user: UserId) -> Result<Epochs> {
    let themself = matches!(cx.caller, Caller::User { id: Some(id), .. } if id == user);
    if !themself && !cx.caller.is_operator() {
        return Err(Error::says(&codes::GRANT_EXCEEDS_CALLER, "Nobody makes a key in the name of somebody else.")
            .help("The person makes it, signed in; or the operator does."));
    }
    let scopes = [
        Scope::Organization(organization),
        Scope::People(organization),
        Scope::User(user),
        Scope::Membership(organization, user),
    ];
    let epochs = Epochs::capture(&cx.store, &scopes).await?;
    Membership::active(&cx.store, organization, user).await?;
    Ok(epochs)
}

/// `90d`, `12h`, `30m`, `2w`. Errors: `invalid_input`.
pub fn span(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::says(&codes::INVALID_INPUT, "That is not a span of time.")
            .help("A whole number and a unit: `90d`, `12h`, `30m`, `2w`.")
    };
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number =
        text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).ok_or_else(wrong)?;
    // Seven digits of weeks are longer than any deployment lives, and far from where time runs over.
    let number: u64 = number.parse().ok().filter(|number| (1..10_000_000).contains(number)).ok_or_else(wrong)?;
    Ok(Duration::from_secs(number * seconds))
}

/// List the API keys of an organization, or of one of its people.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListApiKeys {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only those of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListApiKeys {
    type Seen = ();
    type Output = Pages<ApiKeyView>;
    const NAME: &'static str = "api_key.list";
    const ACCESS: Access = Access::Grant(Grant::ApiKeyRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/api-keys" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let page = match (cx.narrowed(self.organization), self.user) {
            (named, None) => self.paging.of_organization::<ApiKey>(cx, named).await?,
            (Some(organization), Some(user)) => {
                self.paging.read(cx, Query::by("member", ApiKey::member(organization, user))).await?
            }
            (None, Some(user)) => self.paging.read(cx, Query::by("user", user.bytes())).await?,
        };
        let mut items = Vec::with_capacity(page.items.len());
        for stored in page.items {
            items.push(ApiKeyView::of(cx, stored.value).await?);
        }
        Ok(Pages::with(items, page.next))
    }
}

/// Revoke an API key. The next request with it fails.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeApiKey {
    /// The key.
    pub id: ApiKeyId,
}

#[async_trait]
impl Operation for RevokeApiKey {
    type Seen = ();
    type Output = ApiKeyView;
    const NAME: &'static str = "api_key.revoke";
    const ACCESS: Access = Access::Grant(Grant::ApiKeyManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/api-keys/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.key(cx).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut key, revision } = self.key(cx).await?;
        if key.revoked_at.is_none() {
            key.revoked_at = Some(cx.env.now());
            let mut event = cx.event(EventKind::ApiKeyRevoked).within(key.organization).about("api_key", key.id);
            if let Some(user) = key.user {
                event = event.and("user", user);
            }
            batch.update(&key, revision).log(event);
        }
        ApiKeyView::of(cx, key).await
    }
}

impl RevokeApiKey {
    async fn key(&self, cx: &Context) -> Result<Stored<ApiKey>> {
        cx.store.get(Key::from_bytes(self.id.bytes())).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, seconds) in [("1m", 60), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600)] {
            assert_eq!(span(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "d", "0d", "-1d", "+1d", "1.5h", "1 d", "90", "1y", "99999999999999999999d", "10000000w", "٣d"]
        {
            assert!(span(text).is_err(), "{text:?}");
        }
    }
}
