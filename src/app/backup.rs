//! The operation that takes a backup.

use std::path::PathBuf;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Context, Method, Operation, Owner, Route};
use crate::crypto::Secret;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::store::Batch;
use crate::store::backup::{Made, NewBackup};

/// Write everything into one file, while the server runs.
///
/// Secrets in it stay sealed under the master key, which is not in the file unless a passphrase wraps it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateBackup {
    /// The file on the server's machine: an absolute path. It appears when it is complete.
    pub path: String,
    /// Replace an older backup of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<bool>,
    /// Put the master key into the file, wrapped under this passphrase of at least 12 letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Secret>,
}

/// A backup that was taken.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupView {
    /// The file.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub digest: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// The number of the last event in it: all that was acknowledged before it was begun is inside.
    pub log_seq: u64,
    /// The layout of the database.
    pub schema: u32,
    /// The fingerprint of the master key that a restore needs.
    pub master_key: String,
    /// Whether the master key is in the file, under the passphrase.
    pub with_key: bool,
}

/// Hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Operation for CreateBackup {
    type Seen = Option<Made>;
    type Output = BackupView;
    const NAME: &'static str = "backup.create";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/backups" };
    // What it makes is a file, not a thing that stands below the address.
    const CREATES: bool = false;

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let target = PathBuf::from(&self.path);
        // The server's working directory is nobody's business.
        if !target.is_absolute() {
            return Err(Error::says(&codes::INVALID_INPUT, "The path of the backup is not absolute."));
        }
        let new = NewBackup {
            target,
            replace: self.replace == Some(true),
            master_key: cx.deployment.master_key.clone(),
            passphrase: self.passphrase.clone(),
        };
        cx.store.backup(new).await.map(Some)
    }

    async fn apply(&self, cx: &Context, made: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Made { header, bytes, digest } = made.as_ref().ok_or_else(|| Error::bug("no backup was made"))?;
        let event = cx
            .event(EventKind::BackupCreated)
            .with("bytes", *bytes)
            .with("logSeq", header.log_seq)
            .with("masterKey", header.fingerprint.clone())
            .with("withKey", header.key.is_some());
        batch.log(event);
        Ok(BackupView {
            path: self.path.clone(),
            bytes: *bytes,
            digest: hex(digest),
            created_at: header.created_at,
            log_seq: header.log_seq,
            schema: header.schema,
            master_key: header.fingerprint.clone(),
            with_key: header.key.is_some(),
        })
    }
}
