//! `key.list`, `key.rotate`, `key.revoke`: the signing keys of the deployment.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rotation::{Haste, Line};
use super::signing_key::{Algorithm, SigningKey, State};
use crate::access::{Access, Context, Method, Operation, Owner, Pages, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::SigningKeyId;
use crate::store::Batch;

/// A signing key as it is shown: nothing of its private half.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Its id: the `kid` of every token that it signed.
    pub id: SigningKeyId,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Whether it signs, is to sign next, or signs no more.
    pub state: State,
    /// When it was made, and first published.
    pub created_at: Timestamp,
    /// When it is to take over, once that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activates_at: Option<Timestamp>,
    /// Since when it signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    /// Since when it signs no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
    /// Until when it is published: by then its last token has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_until: Option<Timestamp>,
}

impl From<SigningKey> for KeyView {
    fn from(key: SigningKey) -> Self {
        Self {
            id: key.id,
            algorithm: key.algorithm,
            state: key.state(),
            created_at: key.created_at,
            activates_at: key.activates_at,
            activated_at: key.activated_at,
            retired_at: key.retired_at,
            published_until: key.gone_at(),
        }
    }
}

/// List the keys that tokens are signed with, and those that are published beside them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListKeys {
    /// Only those of this algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
}

#[async_trait]
impl Operation for ListKeys {
    type Seen = ();
    type Output = Pages<KeyView>;
    const NAME: &'static str = "key.list";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/keys" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let mut keys = SigningKey::all(&cx.store).await?;
        keys.retain(|key| self.algorithm.is_none_or(|algorithm| key.algorithm == algorithm));
        keys.sort_by_key(|key| (key.algorithm.name(), key.created_at, key.id));
        Ok(Pages::with(keys.into_iter().map(KeyView::from).collect(), None))
    }
}

/// Sign with the next key from now on. The one before stays published until its last token has ended, so that no token
/// is refused. A next key that not every verifier can know yet takes over as soon as all do: within an hour.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateKey {
    /// Of this algorithm; of every one in use unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// At once, though some verifiers may not know the next key yet and refuse its tokens until they read the key set
    /// again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

/// What was done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    /// The algorithms whose keys were turned, or will be.
    pub algorithms: Vec<Algorithm>,
    /// Whether the next keys sign already; otherwise `authd key list` shows when they will.
    pub signing: bool,
}

/// One key a line that may need it, made before the store is looked at.
#[derive(Default)]
pub struct Spares(Vec<SigningKey>);

#[async_trait]
impl Operation for RotateKey {
    type Seen = Spares;
    type Output = Rotated;
    const NAME: &'static str = "key.rotate";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/keys/rotate" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn look(&self, cx: &Context) -> Result<Spares> {
        let keys = SigningKey::all(&cx.store).await?;
        let mut spares = Spares::default();
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let used = SigningKey::signing(&keys, algorithm).is_some();
            if used && self.algorithm.is_none_or(|wanted| wanted == algorithm) {
                spares.0.push(SigningKey::fresh(cx, algorithm).await?);
            }
        }
        if spares.0.is_empty() {
            return Err(Error::says(&codes::NOT_FOUND, "No key of that algorithm signs anything.")
                .help("It is made with the first app that asks for it: `authd app create --alg`."));
        }
        Ok(spares)
    }

    async fn apply(&self, cx: &Context, spares: &Spares, batch: &mut Batch) -> Result<Self::Output> {
        let all = SigningKey::stored(&cx.store).await?;
        let haste = if self.now { Haste::Now } else { Haste::Known };
        let mut signing = true;
        for spare in &spares.0 {
            let line = Line::of(cx, &all, spare.algorithm);
            signing &= line.advance(spare, haste, batch);
        }
        Ok(Rotated { algorithms: spares.0.iter().map(|spare| spare.algorithm).collect(), signing })
    }
}

/// Take a signing key away at once, as when its private half may have got out: it leaves the published set, and every
/// token that it signed is refused from now on. Another key signs in its place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeKey {
    /// The key: the `kid` of its tokens.
    pub id: SigningKeyId,
}

#[async_trait]
impl Operation for RevokeKey {
    type Seen = Spares;
    type Output = KeyView;
    const NAME: &'static str = "key.revoke";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/keys/{id}" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn look(&self, cx: &Context) -> Result<Spares> {
        let keys = SigningKey::all(&cx.store).await?;
        let key = keys.iter().find(|key| key.id == self.id).ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        Ok(Spares(vec![SigningKey::fresh(cx, key.algorithm).await?]))
    }

    async fn apply(&self, cx: &Context, spares: &Spares, batch: &mut Batch) -> Result<Self::Output> {
        let mut all = SigningKey::stored(&cx.store).await?;
        let place = all.iter().position(|key| key.id == self.id).ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        let key = all.swap_remove(place);
        batch.delete::<SigningKey>(SigningKey::key_of(key.id), key.revision);
        batch.log(key.event(cx, EventKind::SigningKeyRevoked));
        let others: Vec<SigningKey> = all.iter().map(|stored| stored.value.clone()).collect();
        let left = SigningKey::signing(&others, key.algorithm).is_some();
        if let (State::Active, false, Some(spare)) = (key.state(), left, spares.0.first()) {
            // The next one, ready or not: nobody can sign with this one any more.
            Line::of(cx, &all, key.algorithm).advance(spare, Haste::Now, batch);
        }
        Ok(key.value.into())
    }
}
