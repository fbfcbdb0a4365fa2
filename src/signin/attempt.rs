//! One try to sign in, between the browser's leaving and its coming back.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::connection::Connection;
use crate::connection::protocol::reseal_kept;
use crate::crypto::{MasterKey, Sealing, TokenHash};
use crate::env::{Env, Timestamp};
use crate::error::Result;
use crate::id::{AppId, AttemptId, ConnectionId, OrganizationId, RequestId};
use crate::provider::authorize::AuthorizeRequest;
use crate::provider::device::DeviceRequest;
use crate::session::Epochs;
use crate::store::{Index, Key, Life, Record};

/// A person has so long at the upstream provider.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// What the sign-in is for.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub enum Intent {
    /// An app asked for a code.
    #[n(0)]
    Authorize(#[n(0)] Box<AuthorizeRequest>),
    /// The person wants to see their own page.
    #[n(1)]
    Account,
    /// The person was asked to let an app in on a device.
    #[n(2)]
    Device(#[n(0)] DeviceRequest),
    /// An app hands over what the person or the provider gave it, and is answered itself; with the address of the app that
    /// the provider answers to, where it is not authd's own.
    #[n(3)]
    Relayed(#[n(0)] Option<String>),
    /// The identity provider began it: the person lands where the connection says, or on their own page.
    #[n(4)]
    Landing(#[n(0)] Option<String>),
}

impl Intent {
    /// The app that it is for, if it is for one.
    pub fn app(&self) -> Option<AppId> {
        match self {
            Self::Authorize(request) => Some(request.app),
            Self::Device(request) => Some(request.app),
            Self::Account | Self::Relayed(_) | Self::Landing(_) => None,
        }
    }
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Step {
    /// The browser is at the upstream provider.
    #[n(0)]
    Sent,
    /// It came back once; the answer is being checked. It cannot come back a second time.
    #[n(1)]
    Claimed,
    /// The answer came and was verified; what it says is kept until the browser itself comes.
    #[n(2)]
    Returned,
}

/// An attempt. It is deleted by the commit that finishes it, so a replay finds nothing.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Attempt {
    /// Its id; the trace has the same.
    #[n(0)]
    pub id: AttemptId,
    /// The browser that began it: the hash of its cookie.
    #[n(1)]
    pub browser: TokenHash,
    /// The handle that the upstream provider carries: its hash.
    #[n(2)]
    pub state: TokenHash,
    /// What it is for.
    #[n(3)]
    pub intent: Intent,
    /// Through which connection.
    #[n(4)]
    pub connection: ConnectionId,
    /// Of which organization.
    #[n(5)]
    pub organization: OrganizationId,
    /// What it was begun under: organization, connection, app.
    #[n(6)]
    pub epochs: Epochs,
    /// What the protocol remembers; sealed.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub kept: Vec<u8>,
    /// Where it stands.
    #[n(8)]
    pub step: Step,
    /// When it was begun.
    #[n(9)]
    pub created_at: Timestamp,
    /// The request that began it.
    #[n(10)]
    pub request: RequestId,
    /// The client that began it: the 16 bytes of its address, an IPv4 one mapped.
    #[cbor(n(11), with = "minicbor::bytes")]
    pub client: Option<Vec<u8>>,
}

impl Record for Attempt {
    const KIND: &'static str = "attempt";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::unique("state", self.state.bytes()), Index::many("request", self.request.bytes())]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.created_at + LIFETIME)
    }
}

impl Sealing for Attempt {
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool> {
        // An answer is being checked, and what is kept was read for it. Nobody opens it a second time.
        // A protocol that keeps nothing has sealed nothing.
        if self.step == Step::Claimed || self.kept.is_empty() {
            return Ok(false);
        }
        let anew = reseal_kept(env, key, self.connection, &self.kept)?;
        Ok(anew.map(|kept| self.kept = kept).is_some())
    }
}

impl Attempt {
    /// The client that it is counted for; the unspecified address where none is known.
    pub fn client(&self) -> IpAddr {
        let bytes = self.client.as_ref().and_then(|bytes| <[u8; 16]>::try_from(bytes.as_slice()).ok());
        bytes.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |bytes| IpAddr::V6(bytes.into()).to_canonical())
    }

    /// The address of a client as an attempt keeps it.
    pub fn client_bytes(ip: IpAddr) -> Vec<u8> {
        match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        }
    }

    /// Whether it belongs to that connection.
    pub fn is_of(&self, connection: &Connection) -> bool {
        self.connection == connection.id && self.organization == connection.organization
    }
}
