//! The routes of the SAML half, its page and the form that carries its answer.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::super::{PEOPLE, Person, Simulator, lock};
use super::ask::Asked;
use super::{AnswerFault, Posted, SamlClient};
use crate::error::{Error, Result, codes};
use crate::http::extract::{Form, Params, Query};
use crate::http::page::{self, Failure, FormPost, People, field};
use crate::http::{RequestInfo, reply};
use crate::id::RequestId;

/// What the page sends along, so that the click brings the whole request back.
const CARRIED: &[&str] = &["SAMLRequest", "RelayState"];

/// The routes.
pub(in crate::connection::simulator) fn routes() -> Router<Simulator> {
    Router::new().route("/saml/metadata", get(metadata)).route("/saml/sso", get(asked).post(posted))
}

async fn metadata(State(simulator): State<Simulator>, info: RequestInfo) -> Response {
    match simulator.saml_metadata() {
        Ok(xml) => ([(header::CONTENT_TYPE, "application/samlmetadata+xml")], xml).into_response(),
        Err(error) => failed(&error, &info),
    }
}

async fn asked(State(simulator): State<Simulator>, info: RequestInfo, Query(parameters): Query) -> Response {
    simulator.saml_page(&parameters, info.id).unwrap_or_else(|error| failed(&error, &info))
}

/// A request that came in a form, or the click that follows.
async fn posted(State(simulator): State<Simulator>, info: RequestInfo, Form(parameters): Form) -> Response {
    let clicked = parameters.one(field::PERSON).is_ok_and(|person| person.is_some());
    let done =
        if clicked { simulator.saml_choose(&parameters, info.id) } else { simulator.saml_page(&parameters, info.id) };
    done.unwrap_or_else(|error| failed(&error, &info))
}

fn failed(error: &Error, info: &RequestInfo) -> Response {
    reply::log(error, info.id);
    reply::html(reply::page_status(error), Failure::from_error(error, info.id.to_string()).render(), [])
}

impl Simulator {
    /// The page on which one chooses who to be.
    fn saml_page(&self, parameters: &Params, id: RequestId) -> Result<Response> {
        let asked = self.saml_asked(parameters)?;
        let hidden = CARRIED.iter().filter_map(|name| {
            let value = parameters.one(name).ok().flatten()?.to_owned();
            Some(page::Hidden { name: (*name).to_owned(), value })
        });
        let faults = AnswerFault::ALL.iter().map(|fault| page::Fault {
            id: fault.id().to_owned(),
            label: fault.label().to_owned(),
            explanation: fault.explanation().to_owned(),
            selected: false,
        });
        let page = People {
            provider_name: "Simulated Identity Provider".to_owned(),
            client: asked.client.name.clone(),
            action: "/saml/sso".to_owned(),
            hidden: hidden.collect(),
            people: PEOPLE.iter().map(|person| shown(person, &asked.client)).collect(),
            faults: faults.collect(),
            request_id: id.to_string(),
        };
        Ok(reply::html(StatusCode::OK, page.render(), ["http:", "https:"]))
    }

    /// The click: the answer goes to the service in a form.
    fn saml_choose(&self, parameters: &Params, id: RequestId) -> Result<Response> {
        let asked = self.saml_asked(parameters)?;
        let unknown = |why| move || Error::says(&codes::INVALID_REQUEST, why);
        let person = Person::find(parameters.need(field::PERSON)?).ok_or_else(unknown("Nobody has this name here."))?;
        let fault = match parameters.one(field::FAULT)? {
            None => None,
            Some(id) => Some(AnswerFault::find(id).ok_or_else(unknown("There is no such fault."))?),
        };
        let Posted { answer, relay_state, .. } = self.saml_posted(&asked, person, fault)?;
        let mut fields = vec![("SAMLResponse".to_owned(), answer)];
        fields.extend(relay_state.map(|state| ("RelayState".to_owned(), state)));
        let action = asked.client.acs_url;
        let scheme = if action.starts_with("http:") { "http:" } else { "https:" };
        let page = FormPost { action, fields, request_id: id.to_string() };
        // authd sends on from there to an app, and that may be anywhere.
        reply::form_post(&page.render(), &[scheme])
    }

    /// A fresh answer; or that of before, if that is what goes wrong.
    fn saml_posted(&self, asked: &Asked, person: &Person, fault: Option<AnswerFault>) -> Result<Posted> {
        let service = &asked.client.entity_id;
        if fault == Some(AnswerFault::Replayed) {
            let last = lock(&self.0.saml.last).clone().filter(|last| last.service == *service);
            return last.ok_or_else(|| {
                Error::says(&codes::INVALID_REQUEST, "There is no answer of before: sign in without a fault first.")
            });
        }
        let answer = self.saml_answer(asked, person, fault)?;
        let relay_state = asked.relay_state.clone().filter(|_| fault != Some(AnswerFault::Unasked));
        let posted = Posted { service: service.clone(), answer, relay_state };
        if fault.is_none() {
            *lock(&self.0.saml.last) = Some(posted.clone());
        }
        Ok(posted)
    }
}

fn shown(person: &Person, client: &SamlClient) -> page::Person {
    page::Person {
        value: person.id.to_owned(),
        name: person.name(),
        email: client.address(person.email),
        groups: person.groups.iter().map(|group| (*group).to_owned()).collect(),
        note: person.note.to_owned(),
    }
}
