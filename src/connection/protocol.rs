//! What every upstream protocol can do, in two beats: begin, and complete.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use zeroize::Zeroizing;

use super::report::Report;
use super::saml::Aside;
use crate::access::Context;
use crate::access::throttle::Taken;
use crate::crypto::{MasterKey, Sealed, Secret};
use crate::directory::Profile;
use crate::env::{Env, Timestamp};
use crate::error::{Code, Error, Result, codes};
use crate::id::ConnectionId;

/// One check of a sign-in, as the trace keeps it. Values are bounded, and secrets never stand in them.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, minicbor::Encode, minicbor::Decode,
)]
pub struct Check {
    /// What was checked: `state`, `iss`, `nonce`, `signature` …
    #[n(0)]
    pub name: String,
    /// Whether it held.
    #[n(1)]
    pub ok: bool,
    /// What was expected, where that can be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub expected: Option<String>,
    /// What was there instead, or as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(3)]
    pub received: Option<String>,
}

/// The checks of one sign-in, in the order they were made. The one place where a check becomes a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks(Vec<Check>);

impl Checks {
    /// No check yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a check that held.
    pub fn pass(&mut self, name: &str, received: impl ToString) {
        self.note(name, true, None, Some(received.to_string()));
    }

    /// Notes a check with what was expected and received.
    pub fn compare(&mut self, name: &str, ok: bool, expected: impl ToString, received: impl ToString) {
        self.note(name, ok, Some(expected.to_string()), Some(received.to_string()));
    }

    /// Notes a check whose values are secret or have no text.
    pub fn state(&mut self, name: &str, ok: bool) {
        self.note(name, ok, None, None);
    }

    fn note(&mut self, name: &str, ok: bool, expected: Option<String>, received: Option<String>) {
        let bound = |text: String| text.chars().take(256).collect::<String>();
        // What was looked at twice is told once. A hostile peer cannot make a trace grow without end.
        let told = ok && self.0.iter().any(|check| check.ok && check.name == name);
        if !told && self.0.len() < 128 {
            self.0.push(Check {
                name: name.to_owned(),
                ok,
                expected: expected.map(bound),
                received: received.map(bound),
            });
        }
    }

    /// Checks that were made before.
    pub fn of(rows: Vec<Check>) -> Self {
        Self(rows)
    }

    /// The rows.
    pub fn into_rows(self) -> Vec<Check> {
        self.0
    }

    /// The rows, still growing.
    pub fn rows(&self) -> &[Check] {
        &self.0
    }
}

/// Notes a check, and refuses with `code` when it does not hold.
pub(super) fn require(
    checks: &mut Checks,
    name: &str,
    ok: bool,
    expected: impl ToString,
    received: impl AsRef<str>,
    code: &'static Code,
) -> Result<()> {
    checks.compare(name, ok, expected, shown(received.as_ref()));
    if ok { Ok(()) } else { Err(Error::new(code)) }
}

/// A text of the provider's, fit to stand in a trace: bounded, without what would steer a terminal or turn text around.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// Control characters, and the format characters that change the direction of text or hide in it.
pub(super) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What a sign-in asks of the upstream provider.
#[derive(Clone, Debug, Default)]
pub struct BeginRequest {
    /// Our handle for the attempt: 256 random bits, opaque to the provider (OAuth `state`, SAML `RelayState`).
    pub state: String,
    /// Where the provider shall answer, where that is not authd's own address.
    pub callback: Option<String>,
    /// Whom the person says to be.
    pub login_hint: Option<String>,
    /// The person must sign in again even if the provider knows them (`prompt=login`).
    pub force: bool,
    /// The person must be able to choose who they are, even if the provider knows them (`prompt=select_account`).
    pub choose: bool,
    /// At most so many seconds since the provider last saw the person.
    pub max_age: Option<u64>,
    /// Authentication context classes that the app asks for.
    pub acr_values: Vec<String>,
}

/// How a sign-in goes on after its first beat.
#[derive(Clone, Debug)]
pub enum Begin {
    /// The browser goes to `url`. `kept` comes back to `complete`: sealed, opaque to everybody else.
    Redirect {
        /// Absolute.
        url: String,
        /// What the protocol has to remember (nonce, verifier).
        kept: Vec<u8>,
    },
    /// The browser posts a form by itself; `kept` as above.
    Form {
        /// Absolute.
        action: String,
        /// Names and values.
        fields: Vec<(String, String)>,
        /// What the protocol has to remember.
        kept: Vec<u8>,
    },
    /// The person types name and password on a page of ours, and `complete` is given them.
    Credentials {
        /// What stands in the field of the name already.
        username: Option<String>,
    },
}

/// What a person typed. It goes to the provider and nowhere else.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// As it was typed.
    pub username: String,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// By what tries at an account are counted: capitals, blanks and a domain before it do not make another.
    pub fn counted(username: &str) -> String {
        let text = username.trim();
        let account = text.split_once('\\').map_or(text, |(_, account)| account);
        account.chars().flat_map(char::to_lowercase).collect()
    }

    /// Whose tries these are, at the provider of that connection; `counted` is the account.
    pub fn account(connection: ConnectionId, counted: &str) -> Vec<u8> {
        [&connection.bytes()[..], counted.as_bytes()].concat()
    }
}

/// What came back: the parameters of the callback, each at most once.
#[derive(Debug, Default)]
pub struct Answer {
    /// By name.
    pub parameters: BTreeMap<String, String>,
    /// What the person typed, where the protocol asks for it.
    pub credentials: Option<Credentials>,
    /// An app hands it over, which may not know every parameter that it was sent (RFC 9207 `iss`); the attempt names the
    /// connection, and with it the provider.
    pub by_app: bool,
    /// What was taken before the credentials are looked at; a protocol that learns whose they are takes that, too.
    pub tries: Taken,
}

/// A word that counts once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Once {
    /// Its own name, unique within the connection.
    pub id: String,
    /// From when on it would be refused anyway.
    pub until: Timestamp,
}

/// A person whom the provider vouches for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authenticated {
    /// Stable within the connection: for OpenID Connect `iss` and `sub`, never an e-mail address.
    pub subject: String,
    /// Normalized by the connection's mapping.
    pub profile: Profile,
    /// When the person really authenticated, if the provider says so.
    pub auth_time: Option<Timestamp>,
    /// The context class the provider states.
    pub acr: Option<String>,
    /// The methods the provider states.
    pub amr: Vec<String>,
    /// The provider's own session, for its logout.
    pub upstream_session: Option<String>,
    /// Who the person is in the provider's own words, for its logout; of OpenID Connect `<iss>|<sub>`, whatever claim the
    /// connection knows people by.
    pub upstream_subject: Option<String>,
    /// What SAML says besides.
    #[serde(default)]
    pub saml: Option<Box<Aside>>,
    /// The scopes that the connection gives for the person's groups.
    pub scopes: Vec<String>,
    /// What the provider has said may not be used a second time; `None` where the protocol sees to that by itself.
    pub once: Option<Once>,
    /// Until when a session may last, if the provider says so.
    pub until: Option<Timestamp>,
}

/// A provider's word that somebody has signed out there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// The word's own name: it counts once.
    pub id: String,
    /// Until when the same word would be believed again.
    pub until: Timestamp,
    /// Whose sessions, as `Authenticated::upstream_subject`.
    pub subject: Option<String>,
    /// Which session, as `Authenticated::upstream_session`.
    pub session: Option<String>,
}

/// One place for whatever protocol: a connection speaks the same one for good.
fn kept_place(connection: ConnectionId) -> String {
    format!("connection/{connection}/oidc/attempt")
}

/// Seals what is kept of a request until its answer, under the master key, for this connection.
pub fn seal_kept(cx: &Context, connection: ConnectionId, kept: &impl minicbor::Encode<()>) -> Result<Vec<u8>> {
    let plain = Zeroizing::new(minicbor::to_vec(kept).map_err(|error| Error::bug(error.to_string()))?);
    let sealed = cx.deployment.master_key.seal(&cx.env, &kept_place(connection), &plain)?;
    minicbor::to_vec(&sealed).map_err(|error| Error::bug(error.to_string()))
}

/// Opens it again. Errors: `state_mismatch` for what was not sealed here, for this connection.
pub fn open_kept<T>(cx: &Context, connection: ConnectionId, kept: &[u8]) -> Result<T>
where
    T: for<'b> minicbor::Decode<'b, ()>,
{
    let sealed: Sealed = minicbor::decode(kept).map_err(|error| Error::new(&codes::STATE_MISMATCH).because(error))?;
    let opened = cx.deployment.master_key.open(&kept_place(connection), &sealed);
    let plain = opened.map_err(|error| Error::new(&codes::STATE_MISMATCH).because(error))?;
    minicbor::decode(&plain).map_err(Error::bug)
}

/// Seals what is kept of a request anew, under the current master key; `None` when it is. Errors: `master_key_wrong`.
pub fn reseal_kept(env: &Env, key: &MasterKey, connection: ConnectionId, kept: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut sealed: Sealed =
        minicbor::decode(kept).map_err(|error| Error::new(&codes::MASTER_KEY_WRONG).because(error))?;
    if !key.reseal(env, &kept_place(connection), &mut sealed)? {
        return Ok(None);
    }
    minicbor::to_vec(&sealed).map(Some).map_err(|error| Error::bug(error.to_string()))
}

/// One upstream protocol, set up for one connection.
#[async_trait]
pub trait Protocol: Send + Sync {
    /// The first beat: where to send the browser. Errors: `connection_not_ready`, `outbound_not_allowed`, `upstream_unavailable`.
    async fn begin(&self, cx: &Context, request: &BeginRequest) -> Result<Begin>;

    /// Which part of the answer is refused before anything is claimed or sent (RFC 9207 `iss`, an error answer).
    /// Pure; no network. Errors: `issuer_mismatch`, `upstream_denied`, `state_mismatch`.
    fn screen(&self, answer: &Answer, checks: &mut Checks) -> Result<()>;

    /// The second beat: checks everything, says who it is. Every check made is noted, the failing one last.
    async fn complete(&self, cx: &Context, answer: &Answer, kept: &[u8], checks: &mut Checks) -> Result<Authenticated>;

    /// Who has signed out at the provider, by its signed word (an OpenID Connect logout token). Every check made is noted,
    /// the failing one last. Errors: those of tokens; `not_found` for a protocol without such a word.
    async fn signed_out(&self, _cx: &Context, _word: &str, _checks: &mut Checks) -> Result<SignedOut> {
        Err(Error::new(&codes::NOT_FOUND))
    }

    /// Tries the provider without a person: discovery, keys, and how long it took.
    async fn test(&self, cx: &Context) -> Report;
}
