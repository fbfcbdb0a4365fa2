//! Claims to domains, their challenges, and their proofs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::crypto::base64url;
use crate::env::{Env, Timestamp};
use crate::id::{ConnectionId, OrganizationId};
use crate::store::{Index, Key, Life, Record};

use super::super::record::Connection;

/// At most so many domains a connection.
pub const MOST: usize = 50;

/// How long a challenge can be answered.
const CHALLENGE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The label under which the proof stands in DNS.
const LABEL: &str = "_authd-verification";

/// How a domain came to be verified.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, minicbor::Encode, minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Proof {
    /// By a TXT record.
    #[n(0)]
    Dns,
    /// Somebody with the grant `connection.domain.trust` vouched for it.
    #[n(1)]
    Vouched,
}

/// What a claimant has to show in DNS. The value is made for one claim, so nobody can use another's record.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Challenge {
    /// The text of the TXT record: 256 random bits. Public as soon as it stands in DNS.
    #[n(0)]
    pub value: String,
    /// When it was asked for.
    #[n(1)]
    pub requested_at: Timestamp,
    /// From when on it cannot be answered.
    #[n(2)]
    pub expires_at: Timestamp,
}

impl Challenge {
    /// A new one, good for seven days.
    pub fn new(env: &Env) -> Self {
        let now = env.now();
        Self {
            value: format!("authd-verification={}", base64url(&env.random::<32>())),
            requested_at: now,
            expires_at: now + CHALLENGE_LIFE,
        }
    }

    /// Where the TXT record of a domain belongs.
    pub fn record_name(domain: &str) -> String {
        format!("{LABEL}.{domain}")
    }
}

/// The claim of one connection to one domain.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Domain {
    /// IDNA in ASCII, lower case.
    #[n(0)]
    pub name: String,
    /// Who claims it.
    #[n(1)]
    pub organization: OrganizationId,
    /// For which connection.
    #[n(2)]
    pub connection: ConnectionId,
    /// The connection's first domain.
    #[n(3)]
    pub primary: bool,
    /// Since when it is proved; only then it routes and only then e-mail addresses in it are believed.
    #[n(4)]
    pub verified_at: Option<Timestamp>,
    /// How it was proved.
    #[n(5)]
    pub proof: Option<Proof>,
    /// What is to be shown in DNS.
    #[n(6)]
    pub challenge: Option<Challenge>,
    /// When it was claimed.
    #[n(7)]
    pub created_at: Timestamp,
    /// When it goes with its deleted connection.
    #[n(8)]
    pub expires_at: Option<Timestamp>,
    /// The text of the TXT record that proved it: it has to stay in DNS.
    #[n(9)]
    pub record: Option<String>,
}

impl Record for Domain {
    const KIND: &'static str = "domain";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(&self.name, self.connection)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("connection", self.connection.bytes()), Index::many("name", &self.name)]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

impl Domain {
    /// The key of a claim.
    pub fn key_of(name: &str, connection: ConnectionId) -> Key {
        Key::of(&[name.as_bytes(), &connection.bytes()])
    }

    /// A claim of now, unproved, with its challenge.
    pub fn claim(env: &Env, connection: &Connection, name: String, primary: bool) -> Self {
        Self {
            name,
            organization: connection.organization,
            connection: connection.id,
            primary,
            verified_at: None,
            proof: None,
            challenge: Some(Challenge::new(env)),
            created_at: env.now(),
            expires_at: None,
            record: None,
        }
    }

    /// The challenge that can be answered at `now`.
    pub fn open(&self, now: Timestamp) -> Option<&Challenge> {
        self.challenge.as_ref().filter(|challenge| challenge.expires_at > now)
    }

    /// The text that DNS is asked for again and again; none where nothing has to stay there.
    pub fn kept_record(&self) -> Option<&str> {
        self.record.as_deref().filter(|_| self.verified_at.is_some() && self.proof == Some(Proof::Dns))
    }

    /// It is proved from now on: by the answer to its challenge, or by somebody's word.
    pub(super) fn prove(&mut self, env: &Env, proof: Proof) {
        self.verified_at.get_or_insert(env.now());
        self.proof = Some(proof);
        let answered = self.challenge.take();
        self.record = answered.filter(|_| proof == Proof::Dns).map(|challenge| challenge.value);
    }

    /// It is a mere claim again.
    pub(crate) fn lose(&mut self, env: &Env) {
        self.verified_at = None;
        self.proof = None;
        self.record = None;
        self.challenge = Some(Challenge::new(env));
    }
}
