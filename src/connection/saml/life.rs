//! How the metadata and certificates of a connection stand, and what the last sign-in has shown.

use schemars::JsonSchema;
use serde::Serialize;

use super::aside::Observed;
use super::config::Config;
use super::tend::Tended;
use super::view::{SamlCertificateView, views};
use crate::access::Context;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::ConnectionId;

/// What is known of a connection's metadata and certificates, and what the last sign-in has shown.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlLife {
    /// When the metadata was read last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_read_at: Option<Timestamp>,
    /// When it is read again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_due_at: Option<Timestamp>,
    /// Until when it holds, by its own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_valid_until: Option<Timestamp>,
    /// Why it could not be read the last time: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_trouble: Option<String>,
    /// The certificates that the provider's signatures are checked with.
    pub certificates: Vec<SamlCertificateView>,
    /// Those that wait for approval.
    pub pending_certificates: Vec<SamlCertificateView>,
    /// How far the provider's clock was ahead of ours at the last sign-in, in milliseconds; what the answer's way took is
    /// in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_clock_skew_ms: Option<i64>,
    /// Whether the provider left the groups out at the last sign-in, because there were too many (Entra ID does, beyond
    /// 150): let it send only those that are assigned to the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_left_out: Option<bool>,
    /// When that sign-in was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sign_in_at: Option<Timestamp>,
}

impl SamlLife {
    /// Of a connection.
    pub(in crate::connection) async fn of(
        cx: &Context,
        connection: ConnectionId,
        config: Option<&Config>,
    ) -> Result<Self> {
        let Some(config) = config else { return Ok(Self::default()) };
        let tended = Tended::load(&cx.store, connection).await?.map(|row| row.value);
        let observed = Observed::load(&cx.store, connection).await?;
        let idp = config.idp.as_ref();
        let learnt_at = idp.filter(|_| config.metadata_url.is_some()).map(|idp| idp.learnt_at);
        Ok(Self {
            metadata_read_at: tended.as_ref().and_then(|tended| tended.read_at).max(learnt_at),
            metadata_due_at: Tended::due_at(tended.as_ref(), config),
            metadata_valid_until: idp.and_then(|idp| idp.valid_until),
            metadata_trouble: tended.and_then(|tended| tended.trouble),
            certificates: idp.map(|idp| views(idp.keys())).unwrap_or_default(),
            pending_certificates: views(idp.into_iter().flat_map(|idp| idp.pending.iter().map(|one| one.0.clone()))),
            observed_clock_skew_ms: observed.as_ref().map(|observed| observed.clock_skew),
            groups_left_out: observed.as_ref().map(|observed| observed.groups_left_out),
            last_sign_in_at: observed.map(|observed| observed.at),
        })
    }
}
