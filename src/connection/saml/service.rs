//! Who authd is to an identity provider: names, addresses, and keys of its own.
//!
//! ```text
//!   made or given ─► next ─► current ─► earlier ─► gone
//!                     │        │          └ opens what was still encrypted to it
//!                     │        └ signs; opens
//!                     └ shown to the provider already; opens
//! ```

use minicbor::{Decode, Encode};

use super::Certificate;
use super::decrypt::DecryptionKey;
use super::sp_key::SpKey;
use crate::access::Context;
use crate::config::PublicUrl;
use crate::crypto::{MasterKey, Sealed};
use crate::env::Env;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// Keys that were replaced and still open something.
const MOST_EARLIER: usize = 3;

/// The place that the connection's own keys are sealed for.
pub fn key_place(connection: ConnectionId) -> String {
    format!("connection/{connection}/saml/key")
}

/// Where the identity provider posts its answers.
pub fn acs_url(public_url: &PublicUrl, id: ConnectionId) -> String {
    public_url.at(&format!("/connections/{id}/saml/acs"))
}

/// Where the connection's own metadata is; its entity id, too, unless another is set.
pub fn metadata_url(public_url: &PublicUrl, id: ConnectionId) -> String {
    public_url.at(&format!("/connections/{id}/saml/metadata"))
}

/// Where logout messages go.
pub fn slo_url(public_url: &PublicUrl, id: ConnectionId) -> String {
    public_url.at(&format!("/connections/{id}/saml/slo"))
}

/// Who authd is to the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Service {
    /// Kept as it was when the connection was made: it stays when the public URL changes.
    #[n(0)]
    pub entity_id: String,
    /// The certificate of the key that signs, DER.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
    /// That key, sealed for `key_place`.
    #[n(2)]
    pub key: Option<Sealed>,
    /// A key that assertions are encrypted to, where that is another one.
    #[n(3)]
    pub encryption: Option<OwnKey>,
    /// Keys that were replaced, the latest first: they open, and sign nothing.
    #[n(4)]
    #[cbor(default)]
    pub earlier: Vec<OwnKey>,
    /// A key that will sign once the provider knows it.
    #[n(5)]
    pub next: Option<OwnKey>,
    /// An address of the app's own, which hands over what is posted there.
    #[n(6)]
    pub acs_url: Option<String>,
    /// Where logout messages go, where that is not here.
    #[n(7)]
    pub slo_url: Option<String>,
}

/// A key of the connection's own.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OwnKey {
    /// Its certificate, DER.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
    /// The key, sealed for `key_place`.
    #[n(1)]
    pub key: Sealed,
}

impl OwnKey {
    /// Seals a key for a connection.
    pub(super) fn of(cx: &Context, connection: ConnectionId, key: &SpKey) -> Result<Self> {
        let sealed = cx.deployment.master_key.seal(&cx.env, &key_place(connection), key.pkcs8())?;
        Ok(Self { certificate: key.certificate().to_vec(), key: sealed })
    }

    fn open(&self, cx: &Context, connection: ConnectionId) -> Result<SpKey> {
        let pkcs8 = cx.deployment.master_key.open(&key_place(connection), &self.key)?;
        SpKey::from_parts(&pkcs8, &self.certificate)
    }

    /// Nothing can be encrypted to a key for ECDSA.
    fn opens(&self) -> bool {
        Certificate::read(&self.certificate).is_some_and(|certificate| certificate.key.starts_with("RSA"))
    }
}

impl Service {
    /// Where answers are posted.
    pub fn acs_at(&self, public_url: &PublicUrl, id: ConnectionId) -> String {
        self.acs_url.clone().unwrap_or_else(|| acs_url(public_url, id))
    }

    /// Where logout messages go.
    pub fn slo_at(&self, public_url: &PublicUrl, id: ConnectionId) -> String {
        self.slo_url.clone().unwrap_or_else(|| slo_url(public_url, id))
    }

    fn current(&self) -> Option<OwnKey> {
        let key = self.key.clone()?;
        Some(OwnKey { certificate: self.certificate.clone(), key })
    }

    /// The key that signs. Errors: `connection_not_ready`.
    pub(super) fn signer(&self, cx: &Context, connection: ConnectionId) -> Result<SpKey> {
        let current = self.current().ok_or_else(|| {
            Error::says(&codes::CONNECTION_NOT_READY, "The connection has no key of its own yet.")
                .help("`authd connection set-saml` makes one.")
        })?;
        current.open(cx, connection)
    }

    /// The certificates that our signatures may be checked with: of the key that signs, of the next, of earlier ones.
    pub fn signing(&self) -> Vec<Vec<u8>> {
        let keys = self.current().into_iter().chain(self.next.clone()).chain(self.earlier.clone());
        certificates(keys)
    }

    /// The keys that may have something encrypted to them, those first that shall be used.
    fn openers(&self) -> impl Iterator<Item = OwnKey> {
        let first = self.encryption.clone().or_else(|| self.current());
        // A key that only signs is shown as one that only signs.
        let next = self.next.clone().filter(|_| self.encryption.is_none());
        first.into_iter().chain(next).chain(self.earlier.clone()).filter(OwnKey::opens)
    }

    /// The certificates that assertions may be encrypted to.
    pub fn encryption(&self) -> Vec<Vec<u8>> {
        certificates(self.openers())
    }

    /// The keys that open them.
    pub(super) fn decryption(&self, cx: &Context, connection: ConnectionId) -> Result<Vec<DecryptionKey>> {
        self.openers().map(|own| own.open(cx, connection)?.decryption()).collect()
    }

    /// Signs with another key from now on. The one before still opens.
    pub(super) fn replace(&mut self, own: OwnKey) {
        if let Some(before) = self.current() {
            self.retire(before);
        }
        self.certificate = own.certificate;
        self.key = Some(own.key);
        self.forget_if_in_use();
    }

    /// Has assertions encrypted to another key, or to the one that signs.
    pub(super) fn encrypt_to(&mut self, own: Option<OwnKey>) {
        if let Some(before) = self.encryption.take() {
            self.retire(before);
        }
        self.encryption = own;
        self.forget_if_in_use();
    }

    fn retire(&mut self, own: OwnKey) {
        self.earlier.insert(0, own);
        self.earlier.truncate(MOST_EARLIER);
    }

    fn forget_if_in_use(&mut self) {
        let mut used: Vec<Vec<u8>> = vec![self.certificate.clone()];
        used.extend([&self.encryption, &self.next].into_iter().flatten().map(|own| own.certificate.clone()));
        self.earlier.retain(|own| {
            let twice = used.contains(&own.certificate);
            used.push(own.certificate.clone());
            !twice
        });
    }

    /// Hands over to the next key. Errors: `invalid_input` when there is none.
    pub(in crate::connection) fn hand_over(&mut self) -> Result<()> {
        let next = self.next.take().ok_or_else(|| {
            Error::says(&codes::INVALID_INPUT, "There is no next key that could take over.")
                .help("Make one first: `--step prepare`.")
        })?;
        self.replace(next);
        Ok(())
    }

    /// Seals every key anew. True when one was.
    pub fn reseal(&mut self, env: &Env, master: &MasterKey, connection: ConnectionId) -> Result<bool> {
        let place = key_place(connection);
        let own = self.encryption.iter_mut().chain(&mut self.next).chain(&mut self.earlier).map(|own| &mut own.key);
        let mut resealed = false;
        for key in self.key.iter_mut().chain(own) {
            resealed |= master.reseal(env, &place, key)?;
        }
        Ok(resealed)
    }
}

/// Each once.
fn certificates(keys: impl Iterator<Item = OwnKey>) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for own in keys {
        if !all.contains(&own.certificate) {
            all.push(own.certificate);
        }
    }
    all
}
