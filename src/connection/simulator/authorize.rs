//! The authorization request (OpenID Connect Core §3.1.2): read strictly, answered by a person's click.

use axum::http::StatusCode;
use axum::response::Response;

use super::{CODE_LIFE, Fault, Grant, PEOPLE, Person, Simulator, remember};
use crate::crypto::base64url;
use crate::error::{Error, Result, codes};
use crate::http::extract::Params;
use crate::http::page::{self, People, field};
use crate::http::reply;
use crate::id::RequestId;

/// What the page sends along, so that the click brings the whole request back.
const CARRIED: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "login_hint",
    "prompt",
    "max_age",
    "acr_values",
];

/// A request that may be answered.
struct Asked {
    client: super::Client,
    redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    challenge: String,
    acr: Option<String>,
    login_hint: Option<String>,
    silent: bool,
}

impl Simulator {
    /// Errors: `invalid_request`; nothing is sent to an address that is not registered.
    fn asked(&self, parameters: &Params) -> Result<Asked> {
        let wrong = |why: &'static str| Error::says(&codes::INVALID_REQUEST, why);
        let client = parameters.need("client_id")?;
        let client = self.client(client).ok_or_else(|| wrong("This client is not registered here."))?;
        let redirect_uri = parameters.need("redirect_uri")?;
        if !client.redirect_uris.iter().any(|known| known == redirect_uri) {
            return Err(wrong("This redirect_uri is not registered for the client."));
        }
        if parameters.need("response_type")? != "code" {
            return Err(wrong("Only the response type `code` is served."));
        }
        if !parameters.need("scope")?.split(' ').any(|scope| scope == "openid") {
            return Err(wrong("The scope lacks `openid`."));
        }
        if parameters.need("code_challenge_method")? != "S256" {
            return Err(wrong("Only the challenge method S256 is served."));
        }
        let text = |name: &str| Ok::<_, Error>(parameters.one(name)?.map(str::to_owned));
        let acr = text("acr_values")?.and_then(|values| values.split(' ').next().map(str::to_owned));
        Ok(Asked {
            redirect_uri: redirect_uri.to_owned(),
            state: text("state")?,
            nonce: text("nonce")?,
            challenge: parameters.need("code_challenge")?.to_owned(),
            acr,
            login_hint: text("login_hint")?,
            silent: parameters.one("prompt")?.is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")),
            client,
        })
    }

    /// The page on which one chooses who to be.
    pub(super) fn page(&self, parameters: &Params, id: RequestId) -> Result<Response> {
        let asked = self.asked(parameters)?;
        if asked.silent {
            return self.refuse(&asked, "login_required", "Nobody is ever signed in here already.");
        }
        let hidden = CARRIED
            .iter()
            .filter_map(|name| {
                let value = parameters.one(name).ok().flatten()?.to_owned();
                Some(page::Hidden { name: (*name).to_owned(), value })
            })
            .collect();
        let mut people: Vec<&Person> = PEOPLE.iter().collect();
        // Whoever the app has named already stands first.
        people.sort_by_key(|person| asked.login_hint.as_deref() != Some(person.email));
        let page = People {
            provider_name: "Simulated Identity Provider".to_owned(),
            client: asked.client.name,
            action: "/authorize".to_owned(),
            hidden,
            people: people
                .into_iter()
                .map(|person| page::Person {
                    value: person.id.to_owned(),
                    name: person.name(),
                    email: person.email.to_owned(),
                    groups: person.groups.iter().map(|group| (*group).to_owned()).collect(),
                    note: person.note.to_owned(),
                })
                .collect(),
            faults: Fault::ALL
                .iter()
                .map(|fault| page::Fault {
                    id: fault.id().to_owned(),
                    label: fault.label().to_owned(),
                    explanation: fault.explanation().to_owned(),
                    selected: false,
                })
                .collect(),
            request_id: id.to_string(),
        };
        // The click leads to authd and from there to any app, in one chain of redirects.
        Ok(reply::html(StatusCode::OK, page.render(), ["http:", "https:"]))
    }

    /// The click.
    pub(super) fn choose(&self, parameters: &Params) -> Result<Response> {
        let asked = self.asked(parameters)?;
        let person = parameters.need(field::PERSON)?;
        let person =
            Person::find(person).ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "Nobody has this name here."))?;
        let fault = match parameters.one(field::FAULT)? {
            None => None,
            Some(id) => {
                Some(Fault::find(id).ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "There is no such fault."))?)
            }
        };
        if fault == Some(Fault::AccessDenied) {
            return self.refuse(&asked, "access_denied", "The simulator was told to refuse.");
        }
        let now = self.0.env.now();
        let code = base64url(&self.0.env.random::<32>());
        remember(
            &self.0.codes,
            Grant {
                value: code.clone(),
                client: asked.client.id.clone(),
                redirect_uri: asked.redirect_uri.clone(),
                challenge: asked.challenge.clone(),
                nonce: asked.nonce.clone(),
                person,
                fault,
                acr: asked.acr.clone(),
                signed_in_at: now,
                expires_at: now + CODE_LIFE,
            },
        );
        let issuer = match fault {
            Some(Fault::MixUp) => format!("{}/other", self.issuer()),
            _ => self.issuer().to_owned(),
        };
        answer(&asked, &[("code", &code), ("iss", &issuer)])
    }

    fn refuse(&self, asked: &Asked, error: &str, description: &str) -> Result<Response> {
        answer(asked, &[("error", error), ("error_description", description), ("iss", self.issuer())])
    }
}

/// Back to the client, with its state.
fn answer(asked: &Asked, parameters: &[(&str, &str)]) -> Result<Response> {
    let mut url = url::Url::parse(&asked.redirect_uri).map_err(Error::bug)?;
    url.query_pairs_mut()
        .extend_pairs(parameters)
        .extend_pairs(asked.state.iter().map(|state| ("state", state.as_str())));
    reply::see_other(url.as_str())
}
