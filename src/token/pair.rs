//! Key pairs, by the cryptographic library directly: read once, and ready for every signature.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use zeroize::Zeroizing;

use super::signing_key::{Algorithm, PublicKey};
use crate::error::{Error, Result, codes};

/// A key pair in memory. Its random numbers are aws-lc's own, seeded by the kernel: the library takes no other source.
pub(super) enum Pair {
    Ec(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

fn failed(_: impl Sized) -> Error {
    Error::bug("the cryptographic library refused a key of ours")
}

impl Pair {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self> {
        match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Box::new).map(Self::Ec).map_err(failed)
            }
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Box::new).map(Self::Rsa).map_err(failed),
        }
    }

    /// As it was kept. Errors: `storage_corrupt`.
    pub(super) fn read(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(|pair| Self::Ec(Box::new(pair)))
            }
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(|pair| Self::Rsa(Box::new(pair))),
        };
        pair.map_err(|e| Error::new(&codes::STORAGE_CORRUPT).because(e))
    }

    /// The signature as RFC 7518 §3.3 and §3.4 write it.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }

    pub(super) fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        let der: Vec<u8> = match self {
            Self::Ec(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Self::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(der))
    }

    pub(super) fn public(&self) -> Result<PublicKey> {
        match self {
            // SEC 1 §2.3.3: 4, then both coordinates.
            Self::Ec(pair) => match pair.public_key().as_ref() {
                [4, point @ ..] if point.len() == 64 => {
                    Ok(PublicKey::Ec { x: point[..32].to_vec(), y: point[32..].to_vec() })
                }
                _ => Err(failed(())),
            },
            Self::Rsa(pair) => {
                let (n, e) = rsa_members(pair.public_key().as_ref()).ok_or_else(|| failed(()))?;
                Ok(PublicKey::Rsa { n, e })
            }
        }
    }
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017 A.1.1): a SEQUENCE of two positive INTEGERs.
fn rsa_members(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
        let (&[found, first], rest) = der.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => {
                let (bytes, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*bytes)), rest)
            }
            _ => return None,
        };
        (found == tag).then_some(())?;
        rest.split_at_checked(length)
    }
    let positive = |bytes: &[u8]| bytes.iter().skip_while(|b| **b == 0).copied().collect::<Vec<u8>>();
    let (members, end) = element(0x30, der)?;
    let (n, members) = element(0x02, members)?;
    let (e, after) = element(0x02, members)?;
    (end.is_empty() && after.is_empty()).then(|| (positive(n), positive(e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::base64url;

    #[test]
    fn an_rsa_key_has_2048_bits_and_a_usual_exponent() {
        let pair = Pair::generate(Algorithm::Rs256).unwrap();
        let PublicKey::Rsa { n, e } = pair.public().unwrap() else { panic!("not RSA") };
        assert_eq!((n.len(), n[0] >> 7, e), (256, 1, vec![1, 0, 1]));
    }

    #[test]
    fn what_a_stored_key_signs_its_public_half_verifies() {
        for (algorithm, known) in
            [(Algorithm::Es256, jsonwebtoken::Algorithm::ES256), (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256)]
        {
            let made = Pair::generate(algorithm).unwrap();
            let kept = Pair::read(algorithm, &made.pkcs8().unwrap()).unwrap();
            let message = b"header.payload";
            let signature = base64url(&kept.sign(message).unwrap());
            let key = match made.public().unwrap() {
                PublicKey::Ec { x, y } => jsonwebtoken::DecodingKey::from_ec_components(&base64url(&x), &base64url(&y)),
                PublicKey::Rsa { n, e } => {
                    jsonwebtoken::DecodingKey::from_rsa_components(&base64url(&n), &base64url(&e))
                }
            };
            let key = key.unwrap();
            assert!(jsonwebtoken::crypto::verify(&signature, message, &key, known).unwrap(), "{algorithm:?}");
            assert!(!jsonwebtoken::crypto::verify(&signature, b"header.other", &key, known).unwrap());
            assert!(Pair::read(algorithm, b"no key").is_err());
        }
    }

    #[test]
    fn der_that_is_not_two_integers_is_refused() {
        for der in
            [&[][..], &[0x30], &[0x30, 3, 2, 1, 1], &[0x31, 6, 2, 1, 1, 2, 1, 3], &[0x30, 6, 2, 1, 1, 2, 1, 3, 0]]
        {
            assert!(rsa_members(der).is_none(), "{der:?}");
        }
        assert_eq!(rsa_members(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 3]), Some((vec![0x80], vec![3])));
    }
}
