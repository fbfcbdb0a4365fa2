//! A SAML identity provider made of text: it signs and encrypts whatever it is told to, well or badly.
//!
//! Messages are written with the prefixes `samlp:` and `saml:`, so that a test can change them by plain replacement;
//! before they are signed they get prefixes by chance. Its signer and its encryption are its own: nothing of the code
//! that is tested makes what it is tested with, but for canonical form, which the differential tests look after.

use std::sync::atomic::{AtomicU64, Ordering};

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, Expect, Want};
use authd::env::Timestamp;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::c14n::{C14nMode, canonicalize_doc};
use bergshamra::xml::nodeset::NodeSet;
use rand::Rng as _;
use saml::names::{AES128_CBC, AES128_GCM, AES256_CBC, AES256_GCM, DSIG, ENVELOPED, EXC_C14N, RSA_OAEP, SHA256};
use uppsala::{Document, NodeId};

/// 2026-01-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The moment so many seconds from now, as messages write it.
pub fn at(seconds: i64) -> String {
    Timestamp::from_millis(NOW.millis() + seconds * 1000).to_string()
}

/// A text that was never there before.
pub fn fresh(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}{:016x}{}", rand::rng().random::<u64>(), COUNT.fetch_add(1, Ordering::Relaxed))
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

/// A key with a certificate that it signed itself.
pub struct Key {
    pair: Pair,
    /// PKCS #8.
    pub pkcs8: Vec<u8>,
    /// DER.
    pub certificate: Vec<u8>,
}

impl Key {
    /// RSA of 2048 bits.
    pub fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pkcs8 = pkcs8.as_ref().to_vec();
        let certificate = certificate(&pkcs8, &rcgen::PKCS_RSA_SHA256, "idp.example");
        Self { pair: Pair::Rsa(pair), pkcs8, certificate }
    }

    /// ECDSA with P-256.
    pub fn p256() -> Self {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap().as_ref().to_vec();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).unwrap();
        let certificate = certificate(&pkcs8, &rcgen::PKCS_ECDSA_P256_SHA256, "idp.example");
        Self { pair: Pair::P256(pair), pkcs8, certificate }
    }

    /// What it signs with, unless told otherwise.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => saml::names::RSA_SHA256,
            Pair::P256(_) => saml::names::ECDSA_SHA256,
        }
    }

    /// Signs bytes by the algorithm of that name; by its own for a name that it does not know.
    pub fn sign(&self, algorithm: &str, bytes: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &dyn signature::RsaEncoding = match algorithm {
                    saml::names::RSA_SHA384 => &signature::RSA_PKCS1_SHA384,
                    saml::names::RSA_SHA512 => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &rng, bytes, &mut out).unwrap();
                out
            }
            Pair::P256(pair) => pair.sign(&rng, bytes).unwrap().as_ref().to_vec(),
        }
    }
}

impl Key {
    /// The same key in another certificate, which ends at the beginning of that day.
    pub fn ending(&self, (year, month, day): (i32, u8, u8)) -> Vec<u8> {
        let algorithm = match self.pair {
            Pair::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
            Pair::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
        };
        let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&(&*self.pkcs8).into(), algorithm).unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "idp.example");
        params.not_after = rcgen::date_time_ymd(year, month, day);
        params.self_signed(&key).unwrap().der().to_vec()
    }

    /// The private key as a file has it.
    pub fn pem(&self) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&self.pkcs8))
    }
}

fn certificate(pkcs8: &[u8], algorithm: &'static rcgen::SignatureAlgorithm, name: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), algorithm).unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.self_signed(&key).unwrap().der().to_vec()
}

/// Namespace prefixes; empty for the default namespace.
#[derive(Clone, Debug)]
pub struct Prefixes {
    pub protocol: String,
    pub assertion: String,
    pub signature: String,
}

impl Prefixes {
    /// By chance; now and then a default namespace.
    pub fn random() -> Self {
        let mut rng = rand::rng();
        let mut one = |stem: &str| match rng.random_range(0..4) {
            0 => String::new(),
            1 => stem.to_owned(),
            _ => format!("{stem}{}", rng.random_range(2..99)),
        };
        let (protocol, signature) = (one("p"), one("d"));
        let mut assertion = one("a");
        if assertion.is_empty() && protocol.is_empty() {
            assertion = "a".into();
        }
        Self { protocol, assertion, signature }
    }
}

/// How something is signed.
#[derive(Clone)]
pub struct Signing {
    pub algorithm: Option<String>,
    pub digest: String,
    pub canonicalization: String,
    pub transforms: Vec<String>,
    /// Instead of the ID of the element.
    pub uri: Option<String>,
    /// Instead of the true sum.
    pub digest_value: Option<String>,
    /// What stands in `KeyInfo`; nothing for none.
    pub key_info: String,
}

impl Signing {
    /// As it should be, with the certificate in it.
    pub fn with(key: &Key) -> Self {
        let certificate = STANDARD.encode(&key.certificate);
        Self {
            algorithm: None,
            digest: SHA256.into(),
            canonicalization: EXC_C14N.into(),
            transforms: [ENVELOPED, EXC_C14N].map(|uri| transform(uri, "")).to_vec(),
            uri: None,
            digest_value: None,
            key_info: format!("<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>"),
        }
    }
}

/// A transform with something in it.
pub fn transform(uri: &str, inside: &str) -> String {
    format!("<ds:Transform Algorithm=\"{uri}\">{inside}</ds:Transform>")
}

/// Who is asked and whom the answer is for.
pub struct Idp {
    pub key: Key,
    pub entity_id: String,
    pub sp_entity_id: String,
    pub acs_url: String,
    pub request_id: String,
    certificates: Vec<Vec<u8>>,
    decryption: Vec<saml::DecryptionKey>,
    sp: Option<Key>,
}

impl Idp {
    /// With fresh names and an RSA key.
    pub fn new() -> Self {
        Self::with(Key::rsa())
    }

    /// With that key.
    pub fn with(key: Key) -> Self {
        let host = fresh("h");
        Self {
            certificates: vec![key.certificate.clone()],
            decryption: vec![],
            entity_id: format!("https://{host}.idp.example/metadata"),
            sp_entity_id: format!("https://{host}.sp.example/saml"),
            acs_url: format!("https://{host}.sp.example/saml/acs"),
            request_id: fresh("_r"),
            key,
            sp: None,
        }
    }

    /// Toward a service that has a key of its own, to which assertions can be encrypted.
    #[must_use]
    pub fn encrypting(mut self) -> Self {
        let key = Key::rsa();
        self.decryption = vec![saml::DecryptionKey::from_pkcs8(&key.pkcs8).unwrap()];
        self.sp = Some(key);
        self
    }

    /// The key of the service.
    pub fn sp(&self) -> &Key {
        self.sp.as_ref().unwrap()
    }

    /// What the service expects.
    pub fn expect(&self) -> Expect<'_> {
        Expect {
            idp_entity_id: &self.entity_id,
            certificates: &self.certificates,
            sp_entity_id: &self.sp_entity_id,
            acs_url: &self.acs_url,
            now: NOW,
            skew: std::time::Duration::from_secs(120),
            request_id: Some(&self.request_id),
            want: Want::default(),
            algorithms: &[],
            decryption_keys: &self.decryption,
            requested_acr: &[],
            max_age: None,
            max_size: saml::MAX_MESSAGE,
        }
    }

    /// An answer as it should be, for that person.
    pub fn answer(&self, name_id: &str) -> Answer<'_> {
        let ids = (fresh("_m"), fresh("_a"));
        let assertion = format!(
            r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{now}"><saml:Issuer>{idp}</saml:Issuer><saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">{name_id}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="{request}" NotOnOrAfter="{end}" Recipient="{acs}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}"><saml:AudienceRestriction><saml:Audience>{sp}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{now}" SessionIndex="_s1"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>{name_id}</saml:AttributeValue></saml:Attribute><saml:Attribute Name="groups"><saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="xs:string">staff</saml:AttributeValue><saml:AttributeValue>board &amp; friends</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"#,
            id = ids.1,
            now = at(0),
            start = at(-60),
            end = at(300),
            idp = self.entity_id,
            sp = self.sp_entity_id,
            acs = self.acs_url,
            request = self.request_id,
        );
        let response = format!(
            r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{now}" Destination="{acs}" InResponseTo="{request}"><saml:Issuer>{idp}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>{HOLE}</samlp:Response>"#,
            id = ids.0,
            now = at(0),
            idp = self.entity_id,
            acs = self.acs_url,
            request = self.request_id,
        );
        Answer {
            idp: self,
            assertion,
            response,
            response_id: ids.0,
            assertion_id: ids.1,
            mode: Mode::Assertion,
            prefixes: Prefixes::random(),
            encryption: None,
        }
    }
}

/// Where the assertion comes into the response.
pub const HOLE: &str = "<!hole>";

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Response,
    Assertion,
    Both,
    None,
}

/// The three that are valid.
pub const MODES: [Mode; 3] = [Mode::Response, Mode::Assertion, Mode::Both];

/// How the assertion is encrypted.
#[derive(Clone, Debug)]
pub struct Encryption {
    pub content: &'static str,
    pub transport: &'static str,
    /// The digest of RSA-OAEP, if it is stated.
    pub digest: Option<&'static str>,
    /// Whether the wrapped key stands beside the content instead of in its `KeyInfo`.
    pub beside: bool,
}

impl Encryption {
    /// As most do it now.
    pub fn usual() -> Self {
        Self { content: AES256_GCM, transport: saml::names::RSA_OAEP_MGF1P, digest: None, beside: false }
    }
}

/// The metadata of a provider, with those endpoints.
pub fn metadata(idp: &Idp, post_only: bool) -> String {
    let redirect = format!(
        r#"<md:SingleSignOnService Binding="{}" Location="https://idp.example/sso?tenant=1"/>"#,
        saml::names::REDIRECT
    );
    format!(
        r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{id}"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleLogoutService Binding="{bind}" Location="https://idp.example/slo"/>{redirect}<md:SingleSignOnService Binding="{post}" Location="https://idp.example/sso/post"/></md:IDPSSODescriptor></md:EntityDescriptor>"#,
        id = idp.entity_id,
        certificate = STANDARD.encode(&idp.key.certificate),
        bind = saml::names::REDIRECT,
        redirect = if post_only { "" } else { &redirect },
        post = saml::names::POST,
    )
}

/// A certificate as people paste it.
pub fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

/// An answer in the making.
pub struct Answer<'a> {
    idp: &'a Idp,
    /// With the prefix `saml:`.
    pub assertion: String,
    /// With `HOLE` in it, and the prefixes `samlp:` and `saml:`.
    pub response: String,
    pub response_id: String,
    pub assertion_id: String,
    pub mode: Mode,
    pub prefixes: Prefixes,
    pub encryption: Option<Encryption>,
}

impl Answer<'_> {
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    #[must_use]
    pub fn encrypted(mut self, encryption: Encryption) -> Self {
        self.encryption = Some(encryption);
        self
    }

    /// Changes the assertion before it is signed.
    #[must_use]
    pub fn assertion(mut self, from: &str, to: &str) -> Self {
        assert!(self.assertion.contains(from), "{from} is not in the assertion");
        self.assertion = self.assertion.replace(from, to);
        self
    }

    /// Changes the response before it is signed.
    #[must_use]
    pub fn response(mut self, from: &str, to: &str) -> Self {
        assert!(self.response.contains(from), "{from} is not in the response");
        self.response = self.response.replace(from, to);
        self
    }

    /// The message, signed and encrypted as told.
    pub fn xml(&self) -> String {
        self.signed_with(&self.idp.key, &Signing::with(&self.idp.key))
    }

    /// The same by another key or in another way.
    pub fn signed_with(&self, key: &Key, how: &Signing) -> String {
        let mut assertion = rename(&self.assertion, &self.prefixes);
        if matches!(self.mode, Mode::Assertion | Mode::Both) {
            assertion = sign(&assertion, &self.assertion_id, key, how, &self.prefixes);
        }
        if let Some(encryption) = &self.encryption {
            assertion = rename(&encrypt(&assertion, &self.idp.sp().certificate, encryption), &self.prefixes);
        }
        let response = rename(&self.response, &self.prefixes).replace(HOLE, &assertion);
        match self.mode {
            Mode::Response | Mode::Both => sign(&response, &self.response_id, key, how, &self.prefixes),
            Mode::Assertion | Mode::None => response,
        }
    }
}

/// Gives the message the prefixes that were drawn.
pub fn rename(xml: &str, prefixes: &Prefixes) -> String {
    let mut out = xml.to_owned();
    for (usual, drawn) in [("samlp", &prefixes.protocol), ("saml", &prefixes.assertion)] {
        let (tag, declared) = match drawn.as_str() {
            "" => (String::new(), "xmlns".to_owned()),
            drawn => (format!("{drawn}:"), format!("xmlns:{drawn}")),
        };
        out = out
            .replace(&format!("</{usual}:"), &format!("</{tag}"))
            .replace(&format!("<{usual}:"), &format!("<{tag}"))
            .replace(&format!("xmlns:{usual}="), &format!("{declared}="));
    }
    out
}

/// The element with that ID.
pub fn element(document: &Document<'_>, id: &str) -> NodeId {
    let named = |node: &NodeId| document.get_attribute(*node, "ID") == Some(id);
    document.descendants(document.root()).into_iter().find(named).unwrap_or_else(|| panic!("no element {id}"))
}

/// The text of the first element of that name.
pub fn cut(xml: &str, local: &str) -> String {
    let document = uppsala::parse(xml).unwrap();
    let found = document.get_elements_by_tag_name(local);
    document.node_source(*found.first().unwrap_or_else(|| panic!("no {local}"))).unwrap().to_owned()
}

/// Canonical form of the element with that ID.
pub fn canonical(xml: &str, id: &str) -> Vec<u8> {
    let document = uppsala::parse(xml).unwrap();
    let nodes = NodeSet::tree_without_comments(element(&document, id), &document);
    canonicalize_doc(&document, C14nMode::Exclusive, Some(&nodes), &[] as &[&str]).unwrap()
}

/// Signs the element with that ID; the signature comes after its Issuer, if it has one.
pub fn sign(xml: &str, id: &str, key: &Key, how: &Signing, prefixes: &Prefixes) -> String {
    let octets = canonical(xml, id);
    let digest = how.digest_value.clone().unwrap_or_else(|| STANDARD.encode(sum(&how.digest, &octets)));
    let algorithm = how.algorithm.as_deref().unwrap_or_else(|| key.algorithm());
    let default = format!("#{id}");
    let inside = format!(
        r#"<ds:CanonicalizationMethod Algorithm="{}"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="{algorithm}"></ds:SignatureMethod><ds:Reference URI="{}"><ds:Transforms>{}</ds:Transforms><ds:DigestMethod Algorithm="{}"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"#,
        how.canonicalization,
        how.uri.as_ref().unwrap_or(&default),
        how.transforms.concat(),
        how.digest,
    );
    let drawn = |text: &str| {
        let (tag, declared) = match prefixes.signature.as_str() {
            "" => (String::new(), "xmlns".to_owned()),
            drawn => (format!("{drawn}:"), format!("xmlns:{drawn}")),
        };
        text.replace("</ds:", &format!("</{tag}"))
            .replace("<ds:", &format!("<{tag}"))
            .replace("xmlns:ds=", &format!("{declared}="))
    };
    // In canonical form the prefix is declared where signing begins.
    let signed_info = drawn(&format!("<ds:SignedInfo xmlns:ds=\"{DSIG}\">{inside}</ds:SignedInfo>"));
    let value = STANDARD.encode(key.sign(algorithm, signed_info.as_bytes()));
    let key_info = match how.key_info.as_str() {
        "" => String::new(),
        inside => format!("<ds:KeyInfo>{inside}</ds:KeyInfo>"),
    };
    let signature = drawn(&format!(
        "<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo>{inside}</ds:SignedInfo><ds:SignatureValue>{value}</ds:SignatureValue>{key_info}</ds:Signature>"
    ));
    let document = uppsala::parse(xml).unwrap();
    let node = element(&document, id);
    let issuer = document.first_child_element_by_name_ns(node, saml::names::ASSERTION, "Issuer");
    // Metadata has no issuer: there it comes first.
    let place = match issuer {
        Some(issuer) => document.node_range(issuer).unwrap().end,
        None => {
            let start = document.node_range(node).unwrap().start;
            start + xml[start..].find('>').unwrap() + 1
        }
    };
    format!("{}{signature}{}", &xml[..place], &xml[place..])
}

/// The sum by the algorithm of that name.
pub fn sum(algorithm: &str, bytes: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest;
    let algorithm = match algorithm {
        saml::names::SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        saml::names::SHA384 => &digest::SHA384,
        saml::names::SHA512 => &digest::SHA512,
        _ => &digest::SHA256,
    };
    digest::digest(algorithm, bytes).as_ref().to_vec()
}

/// An `EncryptedAssertion` around the text, for the key of that certificate.
pub fn encrypt(text: &str, certificate: &[u8], how: &Encryption) -> String {
    let (content, key) = seal(text.as_bytes(), how.content);
    let wrapped = wrap(&key, certificate, how.transport, how.digest);
    encrypted(how, &wrapped, &content)
}

/// The same of bytes that somebody else has made.
pub fn encrypted(how: &Encryption, wrapped: &[u8], content: &[u8]) -> String {
    let digest = how.digest.map(|uri| format!(r#"<ds:DigestMethod Algorithm="{uri}"/>"#)).unwrap_or_default();
    let mgf = match (how.transport, how.digest) {
        (RSA_OAEP, Some(SHA256)) => {
            r#"<x11:MGF xmlns:x11="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>"#
        }
        _ => "",
    };
    let key = format!(
        r#"<xenc:EncryptedKey xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Id="{{id}}"><xenc:EncryptionMethod Algorithm="{}">{digest}{mgf}</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>"#,
        how.transport,
        STANDARD.encode(wrapped),
    );
    let id = fresh("_k");
    let key = key.replace("{id}", &id);
    let (info, beside) = match how.beside {
        false => (key, String::new()),
        true => (
            format!(r##"<ds:RetrievalMethod Type="http://www.w3.org/2001/04/xmlenc#EncryptedKey" URI="#{id}"/>"##),
            key,
        ),
    };
    format!(
        r#"<saml:EncryptedAssertion xmlns:ds="{DSIG}"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="{}"/><ds:KeyInfo>{info}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>{beside}</saml:EncryptedAssertion>"#,
        how.content,
        STANDARD.encode(content),
    )
}

/// Encrypts content under a fresh key; gives both.
pub fn seal(plain: &[u8], algorithm: &str) -> (Vec<u8>, Vec<u8>) {
    let size = if matches!(algorithm, AES128_GCM | AES128_CBC) { 16 } else { 32 };
    let mut key = vec![0; size];
    rand::rng().fill(&mut key[..]);
    let content = match algorithm {
        AES128_CBC | AES256_CBC => {
            let cipher = if size == 16 { &AES_128 } else { &AES_256 };
            let sealing = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(cipher, &key).unwrap()).unwrap();
            let iv: [u8; 16] = rand::rng().random();
            let mut buffer = plain.to_vec();
            sealing.less_safe_encrypt(&mut buffer, EncryptionContext::Iv128(FixedLength::from(&iv))).unwrap();
            [iv.to_vec(), buffer].concat()
        }
        _ => {
            let cipher = if size == 16 { &AES_128_GCM } else { &AES_256_GCM };
            let sealing = LessSafeKey::new(UnboundKey::new(cipher, &key).unwrap());
            let nonce: [u8; 12] = rand::rng().random();
            let mut buffer = plain.to_vec();
            let aad = Aad::empty();
            sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut buffer).unwrap();
            [nonce.to_vec(), buffer].concat()
        }
    };
    (content, key)
}

/// Wraps a content key for the key of a certificate.
pub fn wrap(key: &[u8], certificate: &[u8], transport: &str, digest: Option<&str>) -> Vec<u8> {
    use x509_parser::prelude::FromDer as _;
    let (_, parsed) = x509_parser::prelude::X509Certificate::from_der(certificate).unwrap();
    let public = PublicEncryptingKey::from_der(parsed.public_key().raw).unwrap();
    if transport.ends_with("rsa-1_5") {
        let public = Pkcs1PublicEncryptingKey::new(public).unwrap();
        let mut out = vec![0; public.ciphertext_size()];
        return public.encrypt(key, &mut out).unwrap().to_vec();
    }
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let algorithm = if digest == Some(SHA256) { &OAEP_SHA256_MGF1SHA256 } else { &OAEP_SHA1_MGF1SHA1 };
    let mut out = vec![0; public.ciphertext_size()];
    public.encrypt(algorithm, key, &mut out, None).unwrap().to_vec()
}

/// As a form posts it.
pub fn posted(xml: &str) -> String {
    STANDARD.encode(xml)
}

/// The verdict on a message: whom it names, or the code.
pub fn verdict(xml: &str, expect: &Expect<'_>) -> Result<String, &'static str> {
    read(xml, expect).map(|verified| verified.name_id.value)
}

/// The verdict on a message, in full.
pub fn read(xml: &str, expect: &Expect<'_>) -> Result<saml::Verified, &'static str> {
    let mut checks = Checks::new();
    let result = saml::read(&posted(xml), expect, &mut checks);
    // What refuses is the last that was looked at, and a verdict without a failed check is no refusal.
    let failed = checks.rows().iter().any(|row| !row.ok);
    match result {
        Ok(verified) => Ok(verified),
        Err(error) => {
            assert!(failed, "{} has no failed check: {:?}", error.code(), checks.rows());
            Err(error.code())
        }
    }
}

/// A certificate whose RSA key has 1024 bits.
pub fn weak_certificate() -> Vec<u8> {
    STANDARD.decode(WEAK).unwrap()
}

/// What this thread has used of the processor.
pub fn used() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    std::time::Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// What one call costs of the processor: the kernel counts in steps, so it is called until there is something to divide.
pub fn each(mut call: impl FnMut()) -> std::time::Duration {
    let before = used();
    let mut calls = 0;
    loop {
        call();
        calls += 1;
        let spent = used().saturating_sub(before);
        if spent.as_millis() >= 25 || calls >= 2_000 {
            return spent / calls;
        }
    }
}

/// RSA of 1024 bits: the library makes none.
const WEAK: &str = concat!(
    "MIIB/DCCAWWgAwIBAgIUVjlrJ3c0OiL4rhYBl8gR38Px2WcwDQYJKoZIhvcNAQELBQAwDzENMAsGA1UEAwwEd2VhazAgFw0yNjEx",
    "MjExODE2NTNaGA8yMTI2MTAyODE4MTY1M1owDzENMAsGA1UEAwwEd2VhazCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAvzMn",
    "p/+Y3hiTwEQnwDcWAC0LAI4vjU5sl64PyovBM4eKkp8p0RIdAszJcCUfpjwleawMNTjPQubQZR8NHrZMrcaWVI2F3wbOqrCW8sO3",
    "ikAgegQTs4T0es+Y/JnQg44PkdX6SFksNGZjaFVuCuOvI1G6FTuVuccaKil6foOVkA0CAwEAAaNTMFEwHQYDVR0OBBYEFClkU6x7",
    "9GQIU3XyI5DsQ9T8P6o1MB8GA1UdIwQYMBaAFClkU6x79GQIU3XyI5DsQ9T8P6o1MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcN",
    "AQELBQADgYEAbNTms4jEI8eVQ9VosFLsiZTi7eUj0ouQtgTl7blgFhj12JFrK0CtvG0DNxNFna/GtYuyZA4UzNVZWBSBGvP47tS4",
    "zuxuWXE7l/Qsms+w/GfIgdKXYuwWM1pzIFGbhhVVOqQWXSD0xyGVNrWsBumKHYhJ5IK1WyM67nUTrwp6j+8=",
);
