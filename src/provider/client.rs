//! Apps: the OAuth clients of authd.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::redirect_uri;
use crate::crypto::{Opaque, Secret, TokenHash, sha256};
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::id::{AppId, OrganizationId};
use crate::store::{Index, Key, Life, Record, Store, Stored};
use crate::token::{self, Algorithm};

/// What every client secret begins with, so that scanners of repositories know it.
const SECRET_PREFIX: &str = "cs_";

/// The index by the hash of the API that an app's access tokens are for.
pub(super) const AUDIENCE: &str = "audience";

/// What an app is built as; decides what it can be trusted to keep.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, minicbor::Encode, minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Kind {
    /// Runs on a server and keeps a secret.
    #[default]
    #[n(0)]
    Web,
    /// Runs in a browser; keeps no secret, its origins may call the token endpoint.
    #[n(1)]
    Spa,
    /// Runs on a device; keeps no secret, may use any loopback port and a scheme of its own.
    #[n(2)]
    Native,
    /// Hands its tokens to Convex: access tokens are of type `JWT` with the client id as their one audience.
    #[n(3)]
    Convex,
}

/// How an app proves itself at the token endpoint (RFC 8414 §2, RFC 7523).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, minicbor::Encode, minicbor::Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum AuthMethod {
    /// By its secret, in the header.
    #[n(0)]
    ClientSecretBasic,
    /// By its secret, in the form.
    #[n(1)]
    ClientSecretPost,
    /// By a token that it signs with a key of its own.
    #[n(2)]
    PrivateKeyJwt,
    /// It keeps no secret.
    #[n(3)]
    None,
}

/// What an app exchanges for tokens.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum GrantType {
    /// A code of a sign-in (RFC 6749 §4.1).
    #[n(0)]
    AuthorizationCode,
    /// A refresh token (RFC 6749 §6).
    #[n(1)]
    RefreshToken,
    /// Nothing but its own credentials (RFC 6749 §4.4).
    #[n(2)]
    ClientCredentials,
    /// A device code (RFC 8628).
    #[n(3)]
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code", alias = "device_code")]
    DeviceCode,
}

impl GrantType {
    /// As the parameter `grant_type` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
        }
    }
}

/// Which organizations people may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Organizations {
    /// The app's own.
    #[default]
    #[n(0)]
    Own,
    /// These, and no other.
    #[n(1)]
    List(#[n(0)] Vec<OrganizationId>),
    /// Every one of the deployment; only the operator can say so.
    #[n(2)]
    All,
}

/// The organizations that a sign-in for an app may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every one.
    All,
    /// These.
    Only(Vec<OrganizationId>),
}

impl Reach {
    /// Whether people of that organization may sign in.
    pub fn includes(&self, organization: OrganizationId) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.contains(&organization),
        }
    }
}

/// One secret of a confidential app. Two overlap while it is being changed.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct ClientSecret {
    #[n(0)]
    hash: TokenHash,
    #[n(1)]
    expires_at: Option<Timestamp>,
}

/// An app that asks authd for tokens.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct App {
    /// Its id: the `client_id`, and the one `aud` of its tokens.
    #[n(0)]
    pub id: AppId,
    /// Whose it is.
    #[n(1)]
    pub organization: OrganizationId,
    /// What people call it; shown on the sign-in page.
    #[n(2)]
    pub name: String,
    /// What it is built as.
    #[n(3)]
    pub kind: Kind,
    /// It keeps no secret.
    #[n(4)]
    pub public: bool,
    /// Where it may be returned to, byte for byte.
    #[n(5)]
    pub redirect_uris: Vec<String>,
    /// Origins whose pages may call the token endpoint, beside those of a browser app's return addresses.
    #[n(6)]
    pub origins: Vec<String>,
    /// Which organizations people may come from.
    #[n(7)]
    pub organizations: Organizations,
    /// What its tokens are signed with.
    #[n(8)]
    pub algorithm: Algorithm,
    /// How long its tokens live, in seconds; 15 minutes if absent.
    #[n(9)]
    pub token_seconds: Option<u64>,
    /// Hashes of its secrets, the newest first.
    #[n(10)]
    pub(super) secrets: Vec<ClientSecret>,
    /// When it was made.
    #[n(11)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[n(12)]
    pub updated_at: Timestamp,
    /// It is somebody else's: people are asked before it learns who they are.
    #[n(13)]
    #[cbor(default)]
    pub third_party: bool,
    /// Where people may be returned to after they signed out, byte for byte.
    #[n(14)]
    #[cbor(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where authd tells it that a session has ended (OpenID Connect Back-Channel Logout).
    #[n(15)]
    pub backchannel_logout_uri: Option<String>,
    /// The page that authd's own sign-out page opens in a frame (OpenID Connect Front-Channel Logout).
    #[n(16)]
    pub frontchannel_logout_uri: Option<String>,
    /// How it proves itself at the token endpoint; unset, by its secret in either way.
    #[n(17)]
    pub auth_method: Option<AuthMethod>,
    /// Its public keys for `private_key_jwt`: a JWK set in JSON.
    #[n(18)]
    pub jwks: Option<String>,
    /// Where its public keys are, in their place.
    #[n(19)]
    pub jwks_uri: Option<String>,
    /// By which grants it may get tokens; unset, those that its kind usually has.
    #[n(20)]
    pub grant_types: Option<Vec<GrantType>>,
    /// Scopes of its own APIs that it may ask for, beside those of authd.
    #[n(21)]
    #[cbor(default)]
    pub scopes: Vec<String>,
    /// The API that its access tokens are for (RFC 9068); unset, the app itself.
    #[n(22)]
    pub audience: Option<String>,
    /// A refresh token ends when it was not used for so long, in seconds; 30 days if absent.
    #[n(23)]
    pub refresh_idle_seconds: Option<u64>,
    /// A refresh token ends after so long, whatever happens, in seconds; 90 days if absent.
    #[n(24)]
    pub refresh_seconds: Option<u64>,
    /// It has to push its authorization requests (RFC 9126).
    #[n(25)]
    #[cbor(default)]
    pub require_pushed_requests: bool,
    /// Claims that its tokens have besides: our name for each, and the field of the person that it comes from.
    #[n(26)]
    #[cbor(default)]
    pub claims: BTreeMap<String, String>,
}

impl Record for App {
    const KIND: &'static str = "app";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
    fn indexes(&self) -> Vec<Index> {
        let mut indexes = vec![Index::many("organization", self.organization.bytes())];
        indexes.extend(self.browser_origins().iter().map(|origin| Index::many("origin", origin)));
        indexes.extend(self.audience.iter().map(|audience| Index::many(AUDIENCE, sha256(&[audience.as_bytes()]))));
        indexes
    }
}

impl App {
    /// Its key in the store.
    pub fn key_of(id: AppId) -> Key {
        Key::from_bytes(id.bytes())
    }

    /// The app. Errors: `not_found`.
    pub async fn load(store: &Store, id: AppId) -> Result<Stored<Self>> {
        store.get(Self::key_of(id)).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }

    /// The organizations that a sign-in for it may use.
    pub fn reach(&self) -> Reach {
        match &self.organizations {
            Organizations::Own => Reach::Only(vec![self.organization]),
            Organizations::List(list) => Reach::Only(list.clone()),
            Organizations::All => Reach::All,
        }
    }

    /// Whether a request may return to `asked`.
    pub fn returns_to(&self, asked: &str) -> bool {
        redirect_uri::fits(self.kind, &self.redirect_uris, asked)
    }

    /// How long its tokens live.
    pub fn token_lifetime(&self) -> std::time::Duration {
        self.token_seconds.map_or(token::STANDARD, std::time::Duration::from_secs)
    }

    /// By which grants it may get tokens.
    pub fn grants_allowed(&self) -> Vec<GrantType> {
        self.grant_types.clone().unwrap_or_else(|| vec![GrantType::AuthorizationCode, GrantType::RefreshToken])
    }

    /// A refresh token ends when it was not used for so long.
    pub fn refresh_idle(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.refresh_idle_seconds.unwrap_or(30 * 24 * 3600))
    }

    /// A refresh token ends after so long, whatever happens.
    pub fn refresh_lifetime(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.refresh_seconds.unwrap_or(90 * 24 * 3600))
    }

    /// Whether it proves itself by a secret.
    pub fn keeps_secret(&self) -> bool {
        !self.public && self.auth_method != Some(AuthMethod::PrivateKeyJwt)
    }

    /// From now on it proves itself so. Secrets that it has no use for end; one that it lacks is made by rotation.
    pub(super) fn prove_by(&mut self, method: AuthMethod) {
        self.auth_method = Some(method);
        self.public = matches!(self.kind, Kind::Spa | Kind::Native) || method == AuthMethod::None;
        if !self.keeps_secret() {
            self.secrets.clear();
        }
    }

    /// Whether it may get tokens by that grant. Codes and refresh are everybody's; a machine of its own (client
    /// credentials) or a device has to be allowed.
    pub fn may_use(&self, grant: GrantType) -> bool {
        match &self.grant_types {
            Some(list) => list.contains(&grant),
            None => matches!(grant, GrantType::AuthorizationCode | GrantType::RefreshToken),
        }
    }

    /// The header's `typ` of its access tokens.
    pub fn access_token_type(&self) -> token::Type {
        if self.kind == Kind::Convex { token::Type::Jwt } else { token::Type::Access }
    }

    /// The origins whose pages may call the token endpoint, each once.
    pub fn browser_origins(&self) -> Vec<String> {
        let mut origins = self.origins.clone();
        if matches!(self.kind, Kind::Spa | Kind::Convex) {
            origins.extend(self.redirect_uris.iter().filter_map(|uri| redirect_uri::origin(uri)));
        }
        origins.sort();
        origins.dedup();
        origins
    }

    /// A new secret, shown once; the one before stays good until `overlap_ends`, older ones end now.
    pub(super) fn new_secret(&mut self, env: &Env, overlap_ends: Option<Timestamp>) -> Secret {
        let Opaque { text, hash } = Opaque::new(env, SECRET_PREFIX);
        let before = self.secrets.drain(..).next().filter(|_| overlap_ends.is_some());
        self.secrets.push(ClientSecret { hash, expires_at: None });
        self.secrets.extend(before.map(|secret| ClientSecret { expires_at: overlap_ends, ..secret }));
        text
    }

    /// When the secret before the last one ends, while both are good.
    pub fn secret_ends_at(&self) -> Option<Timestamp> {
        self.secrets.iter().filter_map(|secret| secret.expires_at).max()
    }

    /// Whether `text` is a secret of it; every secret is compared, in constant time.
    pub(super) fn knows_secret(&self, now: Timestamp, text: &str) -> bool {
        self.secrets.iter().fold(false, |known, secret| {
            let good = secret.hash.fits(text) && secret.expires_at.is_none_or(|at| now < at);
            known | good
        })
    }
}

impl Serialize for Organizations {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Own => s.serialize_str("own"),
            Self::All => s.serialize_str("all"),
            Self::List(list) => s.serialize_str(&list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        }
    }
}

impl std::str::FromStr for Organizations {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "own" => Ok(Self::Own),
            "all" => Ok(Self::All),
            list => {
                let mut ids = list
                    .split(',')
                    .map(|id| id.trim().parse())
                    .collect::<Result<Vec<OrganizationId>>>()
                    .map_err(|e| e.help("Say `own`, `all`, or ids of organizations with commas between."))?;
                ids.sort();
                ids.dedup();
                Ok(Self::List(ids))
            }
        }
    }
}

/// Takes the one text, and a list as well.
impl<'de> Deserialize<'de> for Organizations {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        let text = match Form::deserialize(d)? {
            Form::Text(text) => text,
            Form::List(list) => list.join(","),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Organizations {
    fn schema_name() -> Cow<'static, str> {
        "Organizations".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "`own`, `all`, or ids with commas between."})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organizations_read_what_they_write() {
        let env = Env::frozen();
        let list = Organizations::List(vec![OrganizationId::new(&env)]);
        for organizations in [Organizations::Own, Organizations::All, list.clone()] {
            let text = serde_json::to_value(&organizations).unwrap();
            assert_eq!(serde_json::from_value::<Organizations>(text).unwrap(), organizations);
        }
        let Organizations::List(ids) = &list else { unreachable!() };
        assert_eq!(serde_json::from_value::<Organizations>(serde_json::json!(ids)).unwrap(), list);
        for wrong in ["", "everything", "org_1", "own,all"] {
            assert!(wrong.parse::<Organizations>().is_err(), "{wrong}");
        }
    }
}
