//! The outside of an answer: enough to find what it answers, nothing to believe.

use super::limits::MESSAGE;
use super::names::{ASSERTION, PROTOCOL};
use super::screen::text_of;
use super::tree::Tree;
use super::{decode, refuse, shown};
use crate::connection::protocol::Checks;
use crate::error::Result;

/// What a message says about itself, on nobody's word: to find what it answers, never to believe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The request that it says to answer.
    pub in_response_to: Option<String>,
    /// Who says to have sent it.
    pub issuer: Option<String>,
    /// Whither it says to go.
    pub destination: Option<String>,
}

/// Looks at the outside of a posted answer, to a sign-in or a logout.
/// Errors: `too_large`, `saml_doctype`, `saml_structure`.
pub fn peek(saml_response: &str) -> Result<Peek> {
    outside(&decode::post(saml_response, decode::MAX_MESSAGE, &mut Checks::new())?)
}

/// The same for the value of a query, decoded once.
pub fn peek_query(saml_response: &str) -> Result<Peek> {
    outside(&decode::redirect(saml_response, decode::MAX_MESSAGE, &mut Checks::new())?)
}

fn outside(text: &str) -> Result<Peek> {
    let mut checks = Checks::new();
    let tree = Tree::parse(text, &MESSAGE, &mut checks)?;
    let root = tree.root(&mut checks)?;
    if !root.is(PROTOCOL, "Response") && !root.is(PROTOCOL, "LogoutResponse") {
        return Err(refuse(&mut checks, "structure", "a Response on top", shown(root.local())));
    }
    let owned = |name: &str| root.attribute(name).map(str::to_owned);
    Ok(Peek {
        in_response_to: owned("InResponseTo"),
        issuer: text_of(root, ASSERTION, "Issuer", &mut checks)?,
        destination: owned("Destination"),
    })
}
