//! Public keys as a provider publishes them (RFC 7517, RFC 7518 §6, RFC 8037), of which only those that can
//! verify a signature are kept.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature as lc;
use serde_json::{Map, Value};

use super::from_base64url;
use super::jws::Algorithm;

/// A public key that may verify signatures.
#[derive(Clone)]
pub(super) struct Jwk {
    pub(super) kid: Option<String>,
    /// The one algorithm that the key's owner names for it, if any.
    alg: Option<Algorithm>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Rsa(PublicKeyComponents<Vec<u8>>),
    P256(lc::ParsedPublicKey),
    P384(lc::ParsedPublicKey),
    P521(lc::ParsedPublicKey),
    Ed25519(lc::ParsedPublicKey),
}

impl Jwk {
    /// Reads one member of a key set. `None` for a key that cannot or must not verify signatures: another type or
    /// curve, another use, an algorithm that is not served, a weak or malformed one, a private or a symmetric one.
    pub(super) fn parse(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(from_base64url);
        if members.get("use").is_some_and(|wanted| wanted != "sig") {
            return None;
        }
        if let Some(operations) = members.get("key_ops")
            && !operations.as_array()?.iter().any(|operation| operation == "verify")
        {
            return None;
        }
        // Whoever can read the key set could sign with such a key.
        if ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|private| members.contains_key(*private)) {
            return None;
        }
        let alg = match members.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::named(name.as_str()?)?),
        };
        let kid = match members.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        let point = |size: usize, curve: &'static dyn lc::VerificationAlgorithm| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != size || y.len() != size {
                return None;
            }
            // Uncompressed form (SEC 1 §2.3.3); the library refuses a point that is not on the curve.
            lc::ParsedPublicKey::new(curve, [&[4], &x[..], &y[..]].concat()).ok()
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa(rsa(bytes("n")?, bytes("e")?)?),
            ("EC", Some("P-256")) => Material::P256(point(32, &lc::ECDSA_P256_SHA256_FIXED)?),
            ("EC", Some("P-384")) => Material::P384(point(48, &lc::ECDSA_P384_SHA384_FIXED)?),
            // 521 bits are 66 bytes, the first of which is 0 or 1 (RFC 7518 §6.2.1.2).
            ("EC", Some("P-521")) => Material::P521(point(66, &lc::ECDSA_P521_SHA512_FIXED)?),
            ("OKP", Some("Ed25519")) => {
                let x = bytes("x").filter(|x| x.len() == 32)?;
                Material::Ed25519(lc::ParsedPublicKey::new(&lc::ED25519, x).ok()?)
            }
            _ => return None,
        };
        let key = Self { kid, alg, material };
        // A key that names an algorithm of another type is of no use for any.
        key.alg.is_none_or(|alg| key.fits(alg)).then_some(key)
    }

    /// Whether the key may be used with `algorithm`: its type, its curve, and the algorithm it names.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        let by_type = match self.material {
            Material::Rsa(_) => {
                matches!(algorithm, A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512)
            }
            Material::P256(_) => algorithm == A::ES256,
            Material::P384(_) => algorithm == A::ES384,
            Material::P521(_) => algorithm == A::ES512,
            Material::Ed25519(_) => algorithm == A::EdDSA,
        };
        by_type && self.alg.is_none_or(|alg| alg == algorithm)
    }

    /// Whether `signature` over `message` is this key's under `algorithm`.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa(key) => {
                let parameters = match algorithm {
                    Algorithm::RS256 => &lc::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::RS384 => &lc::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::RS512 => &lc::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::PS256 => &lc::RSA_PSS_2048_8192_SHA256,
                    Algorithm::PS384 => &lc::RSA_PSS_2048_8192_SHA384,
                    Algorithm::PS512 => &lc::RSA_PSS_2048_8192_SHA512,
                    Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512 | Algorithm::EdDSA => return false,
                };
                key.verify(parameters, message, signature).is_ok()
            }
            Material::P256(key) | Material::P384(key) | Material::P521(key) | Material::Ed25519(key) => {
                key.verify_sig(message, signature).is_ok()
            }
        }
    }
}

/// 2048 to 4096 bits, an odd exponent from 3 to 2³³, and not from the generator that CVE-2017-15361 broke.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Option<PublicKeyComponents<Vec<u8>>> {
    let trim = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let (n, e) = (trim(n), trim(e));
    let bits = |bytes: &[u8]| bytes.len() * 8 - bytes.first().map_or(0, |first| first.leading_zeros() as usize);
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last & 1 == 1);
    let sound = (2048..=4096).contains(&bits(&n))
        && (2..=33).contains(&bits(&e))
        && odd(&n)
        && odd(&e)
        && !is_from_broken_generator(&n);
    sound.then_some(PublicKeyComponents { n, e })
}

/// Moduli of that generator are powers of 65537 modulo every small prime (CVE-2017-15361); of other moduli
/// one in 10⁸ is.
fn is_from_broken_generator(n: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
        109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|&prime| {
        let rest = n.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        for _ in 0..prime {
            if power == rest {
                return true;
            }
            power = power * (65_537 % prime) % prime;
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::base64url;
    use crate::crypto::jws::{KeySet, MAX_KEY_SET};
    use serde_json::json;

    fn is_kept(n: &[u8], e: &[u8]) -> bool {
        let key = json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)});
        let set = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        set.len() == 1
    }

    /// An odd number of so many bits, of no special shape.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut n = vec![0xa5; bits.div_ceil(8)];
        n[0] = 1 << ((bits - 1) % 8);
        n
    }

    #[test]
    fn rsa_keys_are_neither_weak_nor_endless() {
        let usual = [1, 0, 1];
        for (bits, kept) in [(1024, false), (2047, false), (2048, true), (3072, true), (4096, true), (4097, false)] {
            assert_eq!(is_kept(&modulus(bits), &usual), kept, "{bits}");
        }
        let n = modulus(2048);
        assert!(is_kept(&[&[0], &n[..]].concat(), &usual), "a leading zero says nothing");
        assert!(is_kept(&n, &[3]));
        for e in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[4, 0, 0, 0, 1], &[0xff; 16]] {
            assert!(!is_kept(&n, e), "{e:?}");
        }
        let mut even = n;
        *even.last_mut().unwrap() &= 0xfe;
        assert!(!is_kept(&even, &usual));
    }

    #[test]
    fn moduli_of_the_broken_generator_are_refused() {
        // 65537¹²⁸ is a power of 65537 modulo every prime, as those moduli are.
        let mut power: Vec<u8> = vec![1];
        for _ in 0..128 {
            let mut carry = 0u32;
            let mut next: Vec<u8> = Vec::new();
            for place in 0..power.len() + 3 {
                let at = |place: usize| power.get(place).map_or(0, |byte| u32::from(*byte));
                let sum = at(place) + place.checked_sub(2).map_or(0, at) + carry;
                next.push((sum & 0xff) as u8);
                carry = sum >> 8;
            }
            power = next;
        }
        power.reverse();
        assert!(is_from_broken_generator(&power));
        assert!(!is_kept(&power, &[1, 0, 1]));
        assert!(!is_from_broken_generator(&modulus(2048)));
    }

    #[test]
    fn key_sets_are_bounded() {
        let pad = |size: usize| format!(r#"{{"keys":[]{}}}"#, " ".repeat(size - 11));
        assert!(KeySet::parse(pad(MAX_KEY_SET).as_bytes()).is_ok());
        assert!(KeySet::parse(pad(MAX_KEY_SET + 1).as_bytes()).is_err());
        for wrong in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(KeySet::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
