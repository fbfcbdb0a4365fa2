//! Values encrypted at rest, and the master key that lives outside the database file.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use super::{Secret, base64url, from_base64url, sha256};
use crate::env::Env;
use crate::error::{Error, Result, codes};

/// An encrypted value. It can only be opened with the key and for the place that it was sealed for.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Sealed(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// The key over all secrets at rest: 32 bytes, from a file beside the database or from the environment.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl MasterKey {
    /// A new one.
    pub fn generate(env: &Env) -> Self {
        Self(Zeroizing::new(env.random()))
    }

    /// Reads the 43 letters of base64url that `encoded` writes. Errors: `master_key_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = Zeroizing::new(from_base64url(text.trim()).unwrap_or_default());
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| Error::new(&codes::MASTER_KEY_INVALID))?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The key as text, for its file.
    pub fn encoded(&self) -> Secret {
        Secret::new(base64url(&*self.0))
    }

    /// Eight letters that tell keys apart and say nothing about them.
    pub fn fingerprint(&self) -> String {
        base64url(&sha256(&[b"authd master key fingerprint", &*self.derive("fingerprint")]))[..8].to_owned()
    }

    /// A key for one purpose (HKDF-SHA-256); the purposes' keys say nothing about each other.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"authd 1");
        let info = [purpose.as_bytes()];
        // 32 bytes are far below HKDF's bound (255 × 32), the only error `expand` and `fill` have.
        if let Ok(okm) = salt.extract(&*self.0).expand(&info, Bytes(32)) {
            let _ = okm.fill(&mut *key);
        }
        key
    }

    fn cipher(&self) -> Result<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, &*self.derive("seal")).map_err(|e| Error::bug(e.to_string()))?;
        Ok(LessSafeKey::new(key))
    }

    /// Encrypts `plain` for `place` (kind, key and field of the record it will stand in), AES-256-GCM.
    pub fn seal(&self, env: &Env, place: &str, plain: &[u8]) -> Result<Sealed> {
        let nonce: [u8; 12] = env.random();
        let mut text = plain.to_vec();
        self.cipher()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut text)
            .map_err(|e| Error::bug(e.to_string()))?;
        let mut out = nonce.to_vec();
        out.append(&mut text);
        Ok(Sealed(out))
    }

    /// Decrypts what was sealed for the same `place`. Errors: `master_key_wrong`.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let wrong = || Error::new(&codes::MASTER_KEY_WRONG);
        let (nonce, text) = sealed.0.split_at_checked(12).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = self.cipher()?.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text).map_err(|_| wrong())?;
        Ok(Zeroizing::new(plain.to_vec()))
    }

    /// Decrypts a text. Errors: `master_key_wrong`.
    pub fn open_secret(&self, place: &str, sealed: &Sealed) -> Result<Secret> {
        let plain = self.open(place, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| Error::new(&codes::MASTER_KEY_WRONG))?;
        Ok(Secret::new(text))
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

    #[test]
    fn opens_only_with_its_key_at_its_place_and_unchanged() {
        let env = Env::frozen();
        let key = MasterKey::generate(&env);
        let sealed = key.seal(&env, "connection/1/secret", b"s3cret").unwrap();
        assert_eq!(&**key.open("connection/1/secret", &sealed).unwrap(), b"s3cret");
        assert!(key.open("connection/2/secret", &sealed).is_err());
        assert!(MasterKey::generate(&env).open("connection/1/secret", &sealed).is_err());
        for place in 0..sealed.0.len() {
            let mut forged = sealed.clone();
            forged.0[place] ^= 1;
            assert!(key.open("connection/1/secret", &forged).is_err());
        }
        assert!(key.open("connection/1/secret", &Sealed(vec![1; 5])).is_err());
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
}
