//! The closed list of what a caller may be allowed to do.

use std::collections::BTreeSet;

use crate::error::{Error, Result, codes};

macro_rules! grants {
    ($($name:ident = $text:literal, $number:literal, $about:literal;)*) => {
        /// One permission, within one organization.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
                 minicbor::Encode, minicbor::Decode)]
        #[cbor(index_only)]
        pub enum Grant {
            $(#[doc = $about] #[serde(rename = $text)] #[n($number)] $name,)*
        }
        impl Grant {
            /// Every grant.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// Its stable name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
            /// One sentence about it.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => $about),* }
            }
        }
    };
}

grants! {
    ConnectionCreate = "connection.create", 0, "Create connections.";
    ConnectionRead = "connection.read", 1, "See connections, their domains and their reports.";
    ConnectionManage = "connection.manage", 2, "Change, activate, disable and delete connections.";
    ConnectionDomainManage = "connection.domain.manage", 3, "Claim and prove domains.";
    ConnectionProtocolManage = "connection.protocol.manage", 4, "Set the protocol's configuration.";
    ConnectionPolicyManage = "connection.policy.manage", 5, "Set the organization's policy.";
    ConnectionAuditRead = "connection.audit.read", 6, "Read the log and the traces of sign-ins.";
    ConnectionWebhookManage = "connection.webhook.manage", 7, "Manage webhook endpoints.";
    ScimManage = "scim.manage", 8, "Manage provisioning.";
    ConnectionDomainTrust = "connection.domain.trust", 9, "Vouch for a domain without a proof by DNS.";
    OrganizationRead = "organization.read", 10, "See the organization.";
    OrganizationManage = "organization.manage", 11, "Change the organization.";
    UserRead = "user.read", 12, "See the people of the organization.";
    UserManage = "user.manage", 13, "Change the people of the organization.";
    SessionRead = "session.read", 14, "See who is signed in.";
    SessionManage = "session.manage", 15, "End sessions.";
    AppRead = "app.read", 16, "See the organization's apps.";
    AppManage = "app.manage", 17, "Register and change apps.";
    ApiKeyRead = "api_key.read", 18, "See API keys, without the keys themselves.";
    ApiKeyManage = "api_key.manage", 19, "Create and revoke API keys.";
    RoleRead = "role.read", 20, "See the roles of the organization.";
    RoleManage = "role.manage", 21, "Create, change and delete roles of the organization's own.";
    IssuerRead = "issuer.read", 22, "See trusted issuers, and have a token explained.";
    IssuerManage = "issuer.manage", 23, "Say whose tokens are taken besides authd's own.";
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Grant {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|grant| grant.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|grant| grant.name()).collect();
            Error::says(
                &codes::INVALID_INPUT,
                format!("There is no grant `{}`.", text.chars().take(64).collect::<String>()),
            )
            .help(format!("The grants are: {}; or `*` for all.", known.join(", ")))
        })
    }
}

/// A set of grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Grants(#[n(0)] BTreeSet<Grant>);

impl Grants {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every one there is, vouching for domains included.
    pub fn all() -> Self {
        Grant::ALL.iter().copied().collect()
    }

    /// Reads a list of names; `*` is every grant. Errors: `invalid_input`, naming the list.
    pub fn parse(names: &[String]) -> Result<Self> {
        let mut set = BTreeSet::new();
        for name in names {
            if name == "*" {
                set.extend(Grant::ALL);
            } else {
                set.insert(name.parse()?);
            }
        }
        Ok(Self(set))
    }

    /// Whether it is in the set.
    pub fn contains(&self, grant: Grant) -> bool {
        self.0.contains(&grant)
    }

    /// The first grant of `asked` that this set lacks.
    pub fn lacks(&self, asked: &Self) -> Option<Grant> {
        asked.0.difference(&self.0).next().copied()
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// Both together.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.0.extend(&other.0);
        self
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|grant| grant.name().to_owned()).collect()
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}
