//! What an identity provider says of itself, read from its metadata.
//!
//! Read from the tree, not by a type: providers write roles in any order and between each other, and only one kind of
//! role is of interest.

use std::time::Duration;

use super::certificate::Certificate;
use super::limits::METADATA as LIMITS;
use super::names::{DSIG, METADATA, POST, PROTOCOL, REDIRECT};
use super::tree::{Node, Tree, moment, trim};
use crate::connection::protocol::Checks;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// Where a provider takes messages of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `names::REDIRECT` or `names::POST`; others are not read.
    pub binding: String,
    /// An http or https address.
    pub location: String,
    /// Where answers go, if elsewhere.
    pub response_location: Option<String>,
}

/// What is known of an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdpMetadata {
    /// Its name for itself, which stands in everything that it sends.
    pub entity_id: String,
    /// Where people are sent to sign in, in the order given.
    pub sso: Vec<Endpoint>,
    /// Where logout messages go.
    pub slo: Vec<Endpoint>,
    /// Certificates of the keys that it signs with; at least one of them is usable.
    pub certificates: Vec<Certificate>,
    /// Whether it takes signed requests only.
    pub want_authn_requests_signed: bool,
    /// Forms of NameID that it knows.
    pub name_id_formats: Vec<String>,
    /// Until when this holds.
    pub valid_until: Option<Timestamp>,
    /// How often it wants to be read again.
    pub cache_duration: Option<Duration>,
}

impl IdpMetadata {
    /// The first address for sign-in by that binding.
    pub fn sso_by(&self, binding: &str) -> Option<&Endpoint> {
        self.sso.iter().find(|endpoint| endpoint.binding == binding)
    }

    /// The first address for logout by that binding.
    pub fn slo_by(&self, binding: &str) -> Option<&Endpoint> {
        self.slo.iter().find(|endpoint| endpoint.binding == binding)
    }

    /// From the three facts that people copy by hand instead. Several certificates may follow each other as PEM.
    /// Errors: `metadata_invalid`, `saml_no_signing_cert`.
    pub fn from_fields(entity_id: &str, sso_url: &str, certificates: &str) -> Result<Self> {
        let entity_id = trim(entity_id);
        if entity_id.is_empty() || entity_id.len() > 1024 || entity_id.chars().any(char::is_control) {
            return Err(unusable("The entity id of the identity provider is missing or no plain text."));
        }
        let location = web_address(sso_url);
        let location = location.ok_or_else(|| unusable("The sign-in address is no http or https address."))?;
        let pems = certificates.split_inclusive("-----END CERTIFICATE-----").filter(|part| !trim(part).is_empty());
        let certificates = usable(pems.filter_map(Certificate::from_text).collect())?;
        let endpoint = |binding: &str| Endpoint {
            binding: binding.to_owned(),
            location: location.clone(),
            response_location: None,
        };
        Ok(Self {
            entity_id: entity_id.to_owned(),
            sso: vec![endpoint(REDIRECT)],
            slo: vec![],
            certificates,
            want_authn_requests_signed: false,
            name_id_formats: vec![],
            valid_until: None,
            cache_duration: None,
        })
    }
}

/// Reads metadata: of one provider, or a list in which `entity_id` picks one (or which has only one).
/// Errors: `metadata_invalid`, `saml_doctype`, `saml_no_signing_cert`.
pub fn read(xml: &str, entity_id: Option<&str>, now: Timestamp) -> Result<IdpMetadata> {
    let text = xml.strip_prefix('\u{feff}').unwrap_or(xml);
    let mut checks = Checks::new();
    let tree = Tree::parse(trim(text), &LIMITS, &mut checks).map_err(|error| {
        if error.is(&codes::SAML_DOCTYPE) {
            error
        } else {
            unusable("The metadata is no well-formed XML.").because(error)
        }
    })?;
    let root = tree.root(&mut checks)?;
    let mut entities = Vec::new();
    gather(root, None, &mut entities);
    if entities.is_empty() {
        return Err(foreign(root));
    }
    let picked: Vec<&Entity<'_>> = match entity_id {
        Some(id) => entities.iter().filter(|entity| entity.id() == id).collect(),
        None => entities.iter().collect(),
    };
    match picked.as_slice() {
        [one] => one.read(now),
        [] => Err(unusable("The metadata has no identity provider of that entity id.")),
        several => {
            let names: Vec<String> = several.iter().take(5).map(|entity| super::shown(entity.id())).collect();
            let said = format!("The metadata has {} identity providers that fit.", several.len());
            Err(unusable(said).help(format!("Name one by its entity id, for example: {}.", names.join(", "))))
        }
    }
}

/// An entity that is an identity provider, and until when the lists around it hold.
struct Entity<'t> {
    node: Node<'t>,
    around: Option<Timestamp>,
}

/// Depth of lists in lists is bounded by the depth of the document.
fn gather<'t>(node: Node<'t>, around: Option<Timestamp>, found: &mut Vec<Entity<'t>>) {
    let until = earlier(around, node.attribute("validUntil").and_then(moment));
    if node.is(METADATA, "EntitiesDescriptor") {
        for child in node.children() {
            gather(child, until, found);
        }
    } else if node.is(METADATA, "EntityDescriptor") && roles(node).next().is_some() {
        found.push(Entity { node, around: until });
    }
}

fn roles(entity: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    entity.all(METADATA, "IDPSSODescriptor").filter(|role| {
        let protocols = role.attribute("protocolSupportEnumeration").unwrap_or_default();
        protocols.split_ascii_whitespace().any(|protocol| protocol == PROTOCOL)
    })
}

impl Entity<'_> {
    fn id(&self) -> &str {
        trim(self.node.attribute("entityID").unwrap_or_default())
    }

    fn read(&self, now: Timestamp) -> Result<IdpMetadata> {
        let entity_id = self.id();
        if entity_id.is_empty() || entity_id.len() > 1024 || entity_id.chars().any(char::is_control) {
            return Err(unusable("The metadata has no entity id, or one that cannot be used."));
        }
        let roles: Vec<Node<'_>> = roles(self.node).collect();
        let ends = roles.iter().map(|role| role.attribute("validUntil").and_then(moment));
        let valid_until = ends.fold(self.around, earlier);
        if valid_until.is_some_and(|end| end <= now) {
            return Err(unusable("The metadata is past its own date.")
                .help("Fetch it again from the identity provider; compare the clocks of both machines."));
        }
        let each = |local: &'static str| roles.iter().flat_map(move |role| role.all(METADATA, local));
        let endpoints = |local| each(local).filter_map(endpoint).take(MOST_ADDRESSES).collect::<Vec<Endpoint>>();
        let sso = endpoints("SingleSignOnService");
        if sso.is_empty() {
            return Err(unusable("The identity provider has no sign-in address for HTTP-Redirect or HTTP-POST."));
        }
        let wants = |role: &Node<'_>| matches!(role.attribute("WantAuthnRequestsSigned"), Some("true" | "1"));
        let durations = [self.node].into_iter().chain(roles.iter().copied());
        Ok(IdpMetadata {
            entity_id: entity_id.to_owned(),
            slo: endpoints("SingleLogoutService"),
            sso,
            certificates: usable(each("KeyDescriptor").flat_map(certificates).collect())?,
            want_authn_requests_signed: roles.iter().any(wants),
            name_id_formats: each("NameIDFormat")
                .filter_map(Node::text)
                .map(|text| trim(&text).to_owned())
                .filter(|text| !text.is_empty())
                .collect(),
            valid_until,
            cache_duration: durations.filter_map(|node| node.attribute("cacheDuration").and_then(duration)).min(),
        })
    }
}

/// The certificates of a key that signs: for `signing`, or for everything where no use is named. The first of a chain
/// is the key's own; the others are only about it.
fn certificates(descriptor: Node<'_>) -> Vec<Certificate> {
    if descriptor.attribute("use").is_some_and(|usage| usage != "signing") {
        return Vec::new();
    }
    let data = descriptor.all(DSIG, "KeyInfo").flat_map(|info| info.all(DSIG, "X509Data"));
    let texts = data.filter_map(|data| data.all(DSIG, "X509Certificate").next()?.text());
    texts.filter_map(|text| Certificate::from_text(&text)).collect()
}

/// Each of them is tried for every message that anybody sends.
const MOST_CERTIFICATES: usize = 16;
/// Of one kind.
const MOST_ADDRESSES: usize = 32;

/// Without repetitions. One that is too weak is kept for people to see, but cannot be the only one.
fn usable(all: Vec<Certificate>) -> Result<Vec<Certificate>> {
    let mut certificates: Vec<Certificate> = Vec::new();
    for certificate in all {
        if !certificates.iter().any(|known| known.der == certificate.der) {
            certificates.push(certificate);
        }
        if certificates.len() > MOST_CERTIFICATES {
            return Err(unusable("The identity provider has too many signing certificates."));
        }
    }
    if certificates.iter().any(|certificate| certificate.usable) {
        return Ok(certificates);
    }
    let error = Error::new(&codes::SAML_NO_SIGNING_CERT);
    Err(match certificates.first() {
        Some(weak) => error.help(format!("Its key is {}; RSA of 2048 bits or more, or ECDSA, is needed.", weak.key)),
        None => error,
    })
}

fn endpoint(node: Node<'_>) -> Option<Endpoint> {
    let binding = trim(node.attribute("Binding")?);
    if !matches!(binding, REDIRECT | POST) {
        return None;
    }
    Some(Endpoint {
        binding: binding.to_owned(),
        location: web_address(node.attribute("Location")?)?,
        response_location: node.attribute("ResponseLocation").and_then(web_address),
    })
}

/// The address as it was written, if a browser can be sent there.
fn web_address(text: &str) -> Option<String> {
    let text = trim(text);
    let url = url::Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty();
    (plain && text.len() <= 2048 && !text.chars().any(|c| c.is_control() || c.is_whitespace())).then(|| text.to_owned())
}

fn duration(text: &str) -> Option<Duration> {
    let span: jiff::Span = trim(text).parse().ok()?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    Duration::try_from(span.to_duration(relative).ok()?).ok()
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What the document is instead, as far as it can be told.
fn foreign(root: Node<'_>) -> Error {
    let error = unusable("The document is no metadata of a SAML 2.0 identity provider.");
    if root.within().any(|node| node.is(METADATA, "SPSSODescriptor")) {
        return error.help("It describes a service, as authd is one: give the metadata of the identity provider.");
    }
    if ["EntityDescriptor", "EntitiesDescriptor"].iter().any(|name| root.is(METADATA, name)) {
        return error.help("It has no `IDPSSODescriptor` for SAML 2.0: look whether the provider speaks SAML 2.0.");
    }
    let name: String = root.local().chars().filter(char::is_ascii_graphic).take(40).collect();
    error.help(format!(
        "It begins with `{name}`, where metadata has `EntityDescriptor`: compare the address or the file."
    ))
}

pub(super) fn unusable(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::says(&codes::METADATA_INVALID, why)
}
