//! Bytes under a passphrase: Argon2id (RFC 9106) makes the key, AES-256-GCM seals.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::Secret;
use crate::env::Env;
use crate::error::{Error, Result, codes};

/// The fewest letters of a passphrase: whoever finds the file may guess for years.
pub const SHORTEST: usize = 12;
/// 64 MiB and three passes: well above the least that is advised (19 MiB, two), since it is done once a backup.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3 };
/// What a file may ask for. A hostile one must not take the machine's memory.
const MOST: Cost = Cost { memory_kib: 256 * 1024, passes: 16 };

#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
struct Cost {
    #[n(0)]
    memory_kib: u32,
    #[n(1)]
    passes: u32,
}

/// A key made of a passphrase, good for one sealing.
pub struct PassphraseKey {
    salt: [u8; 16],
    cost: Cost,
    key: Zeroizing<[u8; 32]>,
}

/// What was sealed under a passphrase, with all that is needed to open it but the passphrase.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Wrapped {
    #[cbor(n(0), with = "minicbor::bytes")]
    salt: [u8; 16],
    #[n(1)]
    cost: Cost,
    #[cbor(n(2), with = "minicbor::bytes")]
    nonce: [u8; 12],
    #[cbor(n(3), with = "minicbor::bytes")]
    sealed: Vec<u8>,
}

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wrapped(…)")
    }
}

impl PassphraseKey {
    /// With a fresh salt. It takes some 100 ms of a processor and 64 MiB for as long.
    /// Errors: `invalid_input` for a passphrase that is too short.
    pub fn derive(env: &Env, passphrase: &Secret) -> Result<Self> {
        let text = passphrase.expose();
        if text.chars().count() < SHORTEST || text.trim().is_empty() {
            return Err(Error::says(
                &codes::INVALID_INPUT,
                format!("The passphrase is too short: it has at least {SHORTEST} letters."),
            )
            .help("Five or more random words are good, and can be written down."));
        }
        let salt = env.random();
        Ok(Self { salt, cost: COST, key: stretch(text, &salt, COST)? })
    }

    /// Seals `plain` together with `context`, which must be the same when it is opened.
    pub fn wrap(self, env: &Env, context: &[u8], plain: &[u8]) -> Result<Wrapped> {
        let nonce: [u8; 12] = env.random();
        let mut sealed = plain.to_vec();
        cipher(&self.key)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .map_err(|e| Error::bug(e.to_string()))?;
        Ok(Wrapped { salt: self.salt, cost: self.cost, nonce, sealed })
    }
}

impl Wrapped {
    /// Opens it. Errors: `passphrase_wrong`, also when `context` or the bytes were changed.
    pub fn open(&self, passphrase: &Secret, context: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let wrong = || Error::new(&codes::PASSPHRASE_WRONG);
        if self.cost.memory_kib > MOST.memory_kib || self.cost.passes > MOST.passes {
            return Err(wrong());
        }
        let key = stretch(passphrase.expose(), &self.salt, self.cost).map_err(|e| wrong().because(e))?;
        let mut text = Zeroizing::new(self.sealed.clone());
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let plain = cipher(&key)?.open_in_place(nonce, Aad::from(context), &mut text).map_err(|_| wrong())?;
        Ok(Zeroizing::new(plain.to_vec()))
    }
}

fn stretch(passphrase: &str, salt: &[u8; 16], cost: Cost) -> Result<Zeroizing<[u8; 32]>> {
    let bug = |e: argon2::Error| Error::bug(e.to_string());
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).map_err(bug)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(bug)?;
    Ok(key)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|e| Error::bug(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_its_passphrase_in_its_context_and_unchanged() {
        let env = Env::frozen();
        let passphrase = Secret::new("correct horse battery");
        let wrapped = PassphraseKey::derive(&env, &passphrase).unwrap().wrap(&env, b"here", b"key").unwrap();
        assert_eq!(&**wrapped.open(&passphrase, b"here").unwrap(), b"key");
        assert!(wrapped.open(&passphrase, b"there").unwrap_err().is(&codes::PASSPHRASE_WRONG));
        assert!(wrapped.open(&Secret::new("correct horse batterz"), b"here").is_err());
        let mut forged = wrapped.clone();
        forged.sealed[0] ^= 1;
        assert!(forged.open(&passphrase, b"here").is_err());
        let mut greedy = wrapped;
        greedy.cost.memory_kib = u32::MAX;
        assert!(greedy.open(&passphrase, b"here").unwrap_err().is(&codes::PASSPHRASE_WRONG));
    }

    #[test]
    fn two_wrappings_of_one_key_have_nothing_in_common() {
        let env = Env::frozen();
        let passphrase = Secret::new("correct horse battery");
        let once = || PassphraseKey::derive(&env, &passphrase).unwrap().wrap(&env, b"", b"key").unwrap();
        let (one, two) = (once(), once());
        assert!(one.salt != two.salt && one.nonce != two.nonce && one.sealed != two.sealed);
        assert!(one.cost.memory_kib >= 19 * 1024 && one.cost.passes >= 2);
    }

    #[test]
    fn a_short_passphrase_is_refused() {
        for short in ["", "elevenchars", "äöüäöüäöüäö", "                "] {
            assert!(PassphraseKey::derive(&Env::frozen(), &Secret::new(short)).is_err(), "{short}");
        }
    }
}
