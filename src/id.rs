//! # id — typed, time-sortable identifiers
//!
//! *Owns* every identifier type. *Gives* parse, print, bytes for keys.
//! *Needs* `Env` for time and randomness. *Never* reuses a prefix.
//!
//! An id is 128 bits: 48 bits of milliseconds, then 80 random bits; so ids of one kind sort by the time
//! they were made, and cannot be guessed. It prints as a prefix and 26 letters of Crockford's base 32.

use crate::env::Env;
use crate::error::{Error, Result, codes};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn print(prefix: &str, bits: u128) -> String {
    let mut text = String::with_capacity(prefix.len() + 26);
    text.push_str(prefix);
    for place in (0..26).rev() {
        text.push(ALPHABET[((bits >> (place * 5)) & 31) as usize] as char);
    }
    text
}

fn parse(prefix: &str, text: &str) -> Result<u128> {
    let wrong = || Error::says(&codes::INVALID_INPUT, format!("That is not an id of the form `{prefix}…`."));
    let digits = text.strip_prefix(prefix).ok_or_else(wrong)?;
    // 26 digits hold 130 bits: the first may only carry the top three.
    if digits.len() != 26 || digits.as_bytes()[0] > b'7' {
        return Err(wrong());
    }
    digits.bytes().try_fold(0u128, |bits, digit| {
        let value = ALPHABET.iter().position(|c| *c == digit).ok_or_else(wrong)?;
        Ok((bits << 5) | value as u128)
    })
}

fn fresh(env: &Env) -> u128 {
    let random: [u8; 10] = env.random();
    let mut low = [0u8; 16];
    low[6..].copy_from_slice(&random);
    ((env.now().millis().max(0) as u128 & 0xffff_ffff_ffff) << 80) | u128::from_be_bytes(low)
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The letters every such id begins with.
            pub const PREFIX: &'static str = $prefix;
            /// A new one, from the clock and the random source of `env`.
            pub fn new(env: &Env) -> Self {
                Self(fresh(env))
            }
            /// The 16 bytes that stand in a store key; they sort as the id does.
            pub fn bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
            /// From the bytes of a store key.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }
        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                parse($prefix, text).map(Self)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&print($prefix, self.0))
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": concat!("^", $prefix, "[0-7][0-9a-hjkmnp-tv-z]{25}$")})
            }
        }
        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self, e: &mut minicbor::Encoder<W>, _: &mut C,
            ) -> std::result::Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.bytes())?.ok()
            }
        }
        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> std::result::Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?.try_into().map_err(|_| minicbor::decode::Error::message("an id has 16 bytes"))?;
                Ok(Self::from_bytes(bytes))
            }
        }
    )*
        #[cfg(test)]
        const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

id! {
    /// A tenant.
    OrganizationId = "org_";
    /// A person, across tenants.
    UserId = "usr_";
    /// A way to sign in: one upstream identity provider of one organization.
    ConnectionId = "conn_";
    /// An app that asks authd for tokens; its OAuth `client_id`.
    AppId = "app_";
    /// One signed-in person in one browser.
    SessionId = "ses_";
    /// A link that the operator made for somebody who cannot come in otherwise.
    BreakGlassId = "bgl_";
    /// One try to sign in.
    AttemptId = "att_";
    /// What an app was given by one authorization: the handle its tokens are revoked by.
    GrantId = "grt_";
    /// A group of a directory.
    DirectoryGroupId = "grp_";
    /// An API key.
    ApiKeyId = "key_";
    /// Somebody besides authd whose tokens an organization takes.
    IssuerId = "iss_";
    /// A token by which a directory speaks.
    ScimTokenId = "sct_";
    /// How a directory may speak, and what its words mean.
    ScimConfigId = "scf_";
    /// A call that has to go out.
    DeliveryId = "dlv_";
    /// A webhook endpoint of a team.
    EndpointId = "whe_";
    /// An address that other services tell authd of people at.
    InboundId = "inb_";
    /// A signing key.
    SigningKeyId = "sig_";
    /// An event of the log.
    EventId = "evt_";
    /// One request that came in.
    RequestId = "req_";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr as _;

    #[test]
    fn prefixes_are_unique() {
        let set: std::collections::BTreeSet<_> = PREFIXES.iter().collect();
        assert_eq!(set.len(), PREFIXES.len());
    }

    #[test]
    fn an_id_survives_print_and_parse_and_nothing_else_parses() {
        let env = Env::frozen();
        let id = OrganizationId::new(&env);
        assert_eq!(OrganizationId::from_str(&id.to_string()).ok(), Some(id));
        assert_eq!(OrganizationId::from_bytes(id.bytes()), id);
        let text = id.to_string();
        for wrong in
            ["", "org_", "usr_00000000000000000000000000", &text[..29], &format!("{text}0"), &text.to_uppercase()]
        {
            assert!(OrganizationId::from_str(wrong).is_err(), "{wrong}");
        }
        assert!(OrganizationId::from_str("org_80000000000000000000000000").is_err(), "131 bits");
    }

    #[test]
    fn ids_sort_by_time() {
        let env = Env::frozen();
        let first = UserId::new(&env);
        env.advance(std::time::Duration::from_millis(1));
        let second = UserId::new(&env);
        assert!(first < second && first.bytes() < second.bytes() && first.to_string() < second.to_string());
    }
}
