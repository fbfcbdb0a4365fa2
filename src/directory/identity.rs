//! Who a person is at a source: the key that a sign-in goes by.

use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::env::Timestamp;
use crate::id::{ConnectionId, IssuerId, OrganizationId, UserId};
use crate::store::{Index, Key, Life, Record};

/// At whom a person has an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentitySource {
    /// The provider of a connection.
    Connection(ConnectionId),
    /// A trusted issuer.
    Issuer(IssuerId),
}

impl IdentitySource {
    /// The 16 bytes that stand in a key.
    pub fn bytes(self) -> [u8; 16] {
        match self {
            Self::Connection(id) => id.bytes(),
            Self::Issuer(id) => id.bytes(),
        }
    }

    /// The connection, if it is one.
    pub fn connection(self) -> Option<ConnectionId> {
        match self {
            Self::Connection(id) => Some(id),
            Self::Issuer(_) => None,
        }
    }

    /// The trusted issuer, if it is one.
    pub fn issuer(self) -> Option<IssuerId> {
        match self {
            Self::Connection(_) => None,
            Self::Issuer(id) => Some(id),
        }
    }
}

/// A connection is written as its bare id, as it was when there was nothing else; an issuer is a list with its id.
impl<C> Encode<C> for IdentitySource {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, cx: &mut C) -> Result<(), EncodeError<W::Error>> {
        match self {
            Self::Connection(id) => id.encode(e, cx),
            Self::Issuer(id) => id.encode(e.array(1)?, cx),
        }
    }
}

impl<'b, C> Decode<'b, C> for IdentitySource {
    fn decode(d: &mut Decoder<'b>, cx: &mut C) -> Result<Self, DecodeError> {
        if d.datatype()? != Type::Array {
            return ConnectionId::decode(d, cx).map(Self::Connection);
        }
        match d.array()? {
            Some(1) => IssuerId::decode(d, cx).map(Self::Issuer),
            _ => Err(DecodeError::message("an issuer's identity names one issuer")),
        }
    }
}

/// One person's identity at one source. A sign-in goes by it alone, never by an e-mail address.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Identity {
    /// The source.
    #[n(0)]
    pub source: IdentitySource,
    /// The source's own identifier of the person; stable, never an address.
    #[n(1)]
    pub subject: String,
    /// In which organization.
    #[n(2)]
    pub organization: OrganizationId,
    /// Whose.
    #[n(3)]
    pub user: UserId,
    /// When it was linked.
    #[n(4)]
    pub created_at: Timestamp,
}

impl Identity {
    /// The key of a source's subject.
    pub fn key_of(source: IdentitySource, subject: &str) -> Key {
        Key::of(&[&source.bytes(), subject.as_bytes()])
    }
}

impl Record for Identity {
    const KIND: &'static str = "identity";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.source, &self.subject)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("user", self.user.bytes())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn a_row_from_before_there_were_issuers_is_a_connections() {
        let env = Env::frozen();
        let (connection, issuer) = (ConnectionId::new(&env), IssuerId::new(&env));
        let rest = (OrganizationId::new(&env), UserId::new(&env), env.now());
        let old = (connection, "https://a|1", rest.0, rest.1, rest.2);
        let identity: Identity = minicbor::decode(&minicbor::to_vec(old).unwrap()).unwrap();
        assert_eq!(identity.source, IdentitySource::Connection(connection));
        assert_eq!(minicbor::to_vec(&identity).unwrap(), minicbor::to_vec(old).unwrap());
        let other = Identity { source: IdentitySource::Issuer(issuer), ..identity };
        let read: Identity = minicbor::decode(&minicbor::to_vec(&other).unwrap()).unwrap();
        assert_eq!(read.source, IdentitySource::Issuer(issuer));
    }
}
