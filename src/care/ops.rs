//! The operations on the master key.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rotation::{self, Rotated};
use crate::access::{Access, Canary, Context, Method, Operation, Owner, Route};
use crate::crypto::Home;
use crate::env::Timestamp;
use crate::error::{Error, Result};
use crate::store::Batch;

/// Show which master key is in use: its fingerprint, never the key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShowMasterKey {}

/// The master key, without the key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MasterKeyView {
    /// Eight letters that tell keys apart and say nothing about them.
    pub fingerprint: String,
    /// `file`, `environment`, or `memory`.
    pub source: String,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Since when it is the current one, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many days that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_days: Option<u64>,
    /// The fingerprints of keys before it that this process still opens with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<String>,
    /// A rotation was begun and has not ended; both keys are needed until it has.
    pub unfinished: bool,
}

/// What is known of the master key. Errors: those of the store.
pub(super) async fn view(cx: &Context) -> Result<MasterKeyView> {
    let key = &cx.deployment.master_key;
    let since = Canary::load(&cx.store).await?.and_then(|canary| canary.since);
    let (source, file) = match key.home() {
        Home::Memory => ("memory", None),
        Home::File(path) => ("file", Some(path.display().to_string())),
        Home::Environment => ("environment", None),
    };
    Ok(MasterKeyView {
        fingerprint: key.fingerprint(),
        source: source.to_owned(),
        file,
        since,
        age_days: since.map(|since| cx.env.now().since(since).as_secs() / 86_400),
        previous: key.previous(),
        unfinished: rotation::is_unfinished(cx).await?,
    })
}

#[async_trait]
impl Operation for ShowMasterKey {
    type Seen = ();
    type Output = MasterKeyView;
    const NAME: &'static str = "master_key.show";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/master-key" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        view(cx).await
    }
}

/// Rotate the master key: seal everything anew under a new one, while authd runs.
///
/// Nobody notices. A crash in between loses nothing: the next start goes on. Backups made before can only be restored
/// with the key of before, so keep a copy of it for as long as you keep them, and make a new backup.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateMasterKey {}

/// What was done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotatedMasterKey {
    /// The fingerprint of the key before; absent when only an earlier rotation was cleaned up after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The fingerprint of the key of now.
    pub fingerprint: String,
    /// How many records were sealed anew.
    pub records: u64,
}

#[async_trait]
impl Operation for RotateMasterKey {
    type Seen = Rotated;
    type Output = RotatedMasterKey;
    const NAME: &'static str = "master_key.rotate";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/master-key/rotate" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    /// Beside the request: a caller who hangs up does not stop it half-way.
    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let cx = cx.clone();
        tokio::spawn(async move { rotation::rotate(&cx).await }).await.map_err(Error::bug)?
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, _: &mut Batch) -> Result<Self::Output> {
        Ok(RotatedMasterKey {
            previous: seen.previous.clone(),
            fingerprint: cx.deployment.master_key.fingerprint(),
            records: seen.records,
        })
    }
}
