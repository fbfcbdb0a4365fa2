//! The master key, which lives outside the database file: one that seals, and those before it that still open.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use super::sealed::{KeyId, Sealed};
use super::{Secret, base64url, from_base64url, sha256};
use crate::env::Env;
use crate::error::{Error, Result, codes};

/// Where the key came from; there its successor must go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// Nowhere: it is gone with the process.
    Memory,
    /// A file that authd may write.
    File(PathBuf),
    /// The environment, which only the operator can change.
    Environment,
}

/// The key over all secrets at rest: 32 bytes, from a file beside the database or from the environment.
///
/// It is a ring: the current key seals, and the keys before it open what is not sealed anew yet. All clones share it,
/// so that a key that is changed while the process runs is changed for everybody at once.
#[derive(Clone)]
pub struct MasterKey(Arc<Inner>);

struct Inner {
    ring: RwLock<Ring>,
    home: Home,
    turning: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Ring {
    current: One,
    previous: Vec<One>,
}

#[derive(Clone)]
struct One(Zeroizing<[u8; 32]>);

struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl One {
    fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"authd 1");
        let info = [purpose.as_bytes()];
        // 32 bytes are far below HKDF's bound (255 × 32), the only error `expand` and `fill` have.
        if let Ok(okm) = salt.extract(&*self.0).expand(&info, Bytes(32)) {
            let _ = okm.fill(&mut *key);
        }
        key
    }

    fn digest(&self) -> [u8; 32] {
        sha256(&[b"authd master key fingerprint", &*self.derive("fingerprint")])
    }

    fn fingerprint(&self) -> String {
        base64url(&self.digest())[..8].to_owned()
    }

    /// The beginning of the fingerprint: it says as little about the key.
    fn id(&self) -> KeyId {
        let digest = self.digest();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    fn open(&self, place: &str, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        sealed.open(self.id(), &self.derive("seal"), place)
    }
}

impl MasterKey {
    fn of(current: One, previous: Vec<One>, home: Home) -> Self {
        let ring = RwLock::new(Ring { current, previous });
        Self(Arc::new(Inner { ring, home, turning: tokio::sync::Mutex::new(()) }))
    }

    fn ring(&self) -> Ring {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn current(&self) -> One {
        self.ring().current
    }

    /// A new one.
    pub fn generate(env: &Env) -> Self {
        Self::of(One(Zeroizing::new(env.random())), Vec::new(), Home::Memory)
    }

    /// A new one to follow this: no value of any key of the ring is taken for one of its own.
    pub fn successor(&self, env: &Env) -> Self {
        let Ring { current, previous } = self.ring();
        loop {
            let next = One(Zeroizing::new(env.random()));
            if previous.iter().chain([&current]).all(|known| known.id() != next.id()) {
                return Self::of(next, Vec::new(), Home::Memory);
            }
        }
    }

    /// Reads the 43 letters of base64url that `encoded` writes. Errors: `master_key_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = Zeroizing::new(from_base64url(text.trim()).unwrap_or_default());
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| Error::new(&codes::MASTER_KEY_INVALID))?;
        Ok(Self::of(One(Zeroizing::new(bytes)), Vec::new(), Home::Memory))
    }

    /// This key at its home, with the keys before it. Each is taken for itself, without what came before it.
    #[must_use]
    pub fn at(self, home: Home, previous: &[Self]) -> Self {
        Self::of(self.current(), previous.iter().map(Self::current).collect(), home)
    }

    /// Where it came from.
    pub fn home(&self) -> &Home {
        &self.0.home
    }

    /// The key as text, for its file.
    pub fn encoded(&self) -> Secret {
        Secret::new(base64url(&*self.current().0))
    }

    /// Eight letters that tell keys apart and say nothing about them.
    pub fn fingerprint(&self) -> String {
        self.current().fingerprint()
    }

    /// The fingerprints of the keys that still open, the newest first.
    pub fn previous(&self) -> Vec<String> {
        self.ring().previous.iter().map(One::fingerprint).collect()
    }

    /// A key for one purpose (HKDF-SHA-256); the purposes' keys say nothing about each other.
    ///
    /// It changes with the master key. What must outlive that is derived once, and kept sealed.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        self.current().derive(purpose)
    }

    /// From now on `next` seals; this one and those before it still open. For every clone.
    pub fn turn_to(&self, next: &Self) {
        let next = next.current();
        let mut ring = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut ring.current, next);
        ring.previous.insert(0, before);
    }

    /// One rotation at a time: `None` while another goes on.
    pub fn turning(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.0.turning.try_lock().ok()
    }

    /// Encrypts `plain` for `place` (kind, key and field of the record it will stand in), AES-256-GCM.
    pub fn seal(&self, env: &Env, place: &str, plain: &[u8]) -> Result<Sealed> {
        let key = self.current();
        Sealed::seal(env, key.id(), &key.derive("seal"), place, plain)
    }

    /// Decrypts what was sealed for the same `place`. Errors: `master_key_wrong`.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        self.opened(place, sealed).map(|(plain, _)| plain)
    }

    /// Decrypts a text. Errors: `master_key_wrong`.
    pub fn open_secret(&self, place: &str, sealed: &Sealed) -> Result<Secret> {
        let plain = self.open(place, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| Error::new(&codes::MASTER_KEY_WRONG))?;
        Ok(Secret::new(text))
    }

    /// The one key of the ring that opens it. Errors: `master_key_wrong`.
    pub fn opener(&self, place: &str, sealed: &Sealed) -> Result<Self> {
        self.opened(place, sealed).map(|(_, key)| Self::of(key, Vec::new(), self.0.home.clone()))
    }

    fn opened(&self, place: &str, sealed: &Sealed) -> Result<(Zeroizing<Vec<u8>>, One)> {
        let Ring { current, previous } = self.ring();
        let keys = || std::iter::once(&current).chain(&previous);
        let named = keys().find_map(|key| Some((key.open(place, sealed)?, key)));
        let found = named
            .or_else(|| keys().find_map(|key| Some((sealed.open_older(&key.derive("seal"), place)?, key))))
            .map(|(plain, key)| (plain, key.clone()));
        found.ok_or_else(|| Error::new(&codes::MASTER_KEY_WRONG))
    }

    /// Seals a value anew unless it is sealed under the current key; true if it was not. Errors: `master_key_wrong`.
    pub fn reseal(&self, env: &Env, place: &str, sealed: &mut Sealed) -> Result<bool> {
        if self.current().open(place, sealed).is_some() {
            return Ok(false);
        }
        *sealed = self.seal(env, place, &self.open(place, sealed)?)?;
        Ok(true)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "connection/1/secret";

    #[test]
    fn opens_only_with_its_key_at_its_place_and_unchanged() {
        let env = Env::frozen();
        let key = MasterKey::generate(&env);
        let mut sealed = key.seal(&env, PLACE, b"s3cret").unwrap();
        assert_eq!(&**key.open(PLACE, &sealed).unwrap(), b"s3cret");
        assert!(key.open("connection/2/secret", &sealed).is_err());
        assert!(MasterKey::generate(&env).open(PLACE, &sealed).is_err());
        for place in 0..sealed.bytes().len() {
            let mut forged = sealed.clone();
            forged.bytes()[place] ^= 1;
            assert!(key.open(PLACE, &forged).is_err());
        }
        for length in 0..sealed.bytes().len() {
            let mut cut = sealed.clone();
            cut.bytes().truncate(length);
            assert!(key.open(PLACE, &cut).is_err());
        }
    }

    #[test]
    fn a_key_survives_its_file_and_purposes_differ() {
        let key = MasterKey::generate(&Env::frozen());
        let again = MasterKey::parse(&format!("{}\n", key.encoded().expose())).unwrap();
        assert_eq!(again.fingerprint(), key.fingerprint());
        assert_ne!(*key.derive("a"), *key.derive("b"));
        assert_ne!(*key.derive("a"), [0; 32]);
        assert!(MasterKey::parse("short").is_err());
    }

    #[test]
    fn a_ring_opens_what_each_of_its_keys_sealed_in_either_layout() {
        let env = Env::frozen();
        let old = MasterKey::generate(&env);
        let alone = MasterKey::parse(old.encoded().expose()).unwrap();
        let mut values: Vec<Sealed> = (0..300u32)
            .map(|n| match n % 2 {
                0 => old.seal(&env, PLACE, &n.to_be_bytes()).unwrap(),
                // Random nonces: some of them begin as the layout of now does.
                _ => Sealed::seal_older(&env, &old.derive("seal"), PLACE, &n.to_be_bytes()),
            })
            .collect();
        let next = old.successor(&env);
        let held = old.clone();
        held.turn_to(&next);
        assert_eq!(old.fingerprint(), next.fingerprint(), "every clone has turned");
        assert_eq!(old.previous(), [alone.fingerprint()]);
        for (n, value) in (0u32..).zip(&mut values) {
            assert_eq!(**old.open(PLACE, value).unwrap(), n.to_be_bytes());
            assert_eq!(old.opener(PLACE, value).unwrap().fingerprint(), alone.fingerprint());
            assert!(next.open(PLACE, value).is_err());
            assert!(old.reseal(&env, PLACE, value).unwrap());
            assert!(!old.reseal(&env, PLACE, value).unwrap(), "once is enough");
            assert!(alone.open(PLACE, value).is_err());
            assert_eq!(**next.open(PLACE, value).unwrap(), n.to_be_bytes());
        }
        let mut foreign = MasterKey::generate(&env).seal(&env, PLACE, b"x").unwrap();
        assert_eq!(old.reseal(&env, PLACE, &mut foreign).unwrap_err().code(), "master_key_wrong");
    }

    #[test]
    fn what_is_of_the_older_layout_under_the_current_key_is_sealed_anew() {
        let env = Env::frozen();
        let key = MasterKey::generate(&env);
        let mut older = Sealed::seal_older(&env, &key.derive("seal"), PLACE, b"x");
        assert!(key.reseal(&env, PLACE, &mut older).unwrap());
        assert_eq!(&**key.open(PLACE, &older).unwrap(), b"x");
    }
}
