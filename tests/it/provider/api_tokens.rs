//! Tokens for authd's own API, made by the operator.

use std::time::Duration;

use authd::access::{Caller, Grant, Role, perform};
use authd::directory::{DisableOrganization, Status};
use authd::event::EventKind;
use authd::session::Scope;
use authd::token::{IssueToken, verify_api};

use super::{ISSUER, Lab, part};

async fn caller(lab: &Lab, token: &str) -> Result<Caller, &'static str> {
    verify_api(&lab.context(Caller::Anonymous), &lab.keyring, token).await.map_err(|error| error.code())
}

#[tokio::test]
async fn a_token_for_a_person_holds_what_the_person_may_now() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let user = lab.person(organization, "ada").await;
    let issued = lab.perform(IssueToken { organization, user: Some(user), role: None }).await;
    let token = issued.access_token.expose();
    let (_, claims) = lab.verified(token, &format!("{ISSUER}/api")).await;
    assert_eq!(part(token, 0)["typ"], "at+jwt");
    assert_eq!((&claims["sub"], &claims["org_id"]), (&user.to_string().into(), &organization.to_string().into()));
    assert_eq!(claims["act"]["sub"], "operator:1000");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);

    let grants = |caller: Caller| caller.grants();
    assert_eq!(grants(caller(&lab, token).await.unwrap()).names().len(), 0, "a member without roles may nothing");
    lab.change(organization, user, |member| member.roles = [Role::Owner.into()].into()).await;
    let owner = caller(&lab, token).await.unwrap();
    assert_eq!(owner, Caller::User { id: Some(user), organization, grants: Role::Owner.grants() });
    assert!(!owner.holds(Grant::ConnectionDomainTrust, organization));

    lab.change(organization, user, |member| member.status = Status::Suspended).await;
    assert_eq!(caller(&lab, token).await, Err("not_signed_in"));
    lab.change(organization, user, |member| member.status = Status::Active).await;
    assert!(caller(&lab, token).await.is_ok());
    lab.end(Scope::Membership(organization, user)).await;
    assert_eq!(caller(&lab, token).await, Err("not_signed_in"), "it ends with the membership");
}

#[tokio::test]
async fn a_token_for_a_role_speaks_for_the_operator_and_dies_in_time() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let issue = || IssueToken { organization, user: None, role: Some(Role::Owner.into()) };
    let token = lab.perform(issue()).await.access_token.expose().to_owned();
    assert_eq!(part(&token, 1)["sub"], "operator:1000");
    assert_eq!(part(&token, 1)["role"], "owner");
    let expected = Caller::User { id: None, organization, grants: Role::Owner.grants() };
    assert_eq!(caller(&lab, &token).await, Ok(expected));
    lab.env().advance(Duration::from_secs(899));
    assert!(caller(&lab, &token).await.is_ok());
    lab.env().advance(Duration::from_secs(1));
    assert_eq!(caller(&lab, &token).await, Err("not_signed_in"));

    let token = lab.perform(issue()).await.access_token.expose().to_owned();
    lab.perform(DisableOrganization { id: organization }).await;
    assert_eq!(caller(&lab, &token).await, Err("not_signed_in"));
    assert_eq!(perform(&lab.operator(), &issue()).await.unwrap_err().code(), "organization_disabled");
    for nonsense in ["", "x", "a.b.c", "ak_x"] {
        assert_eq!(caller(&lab, nonsense).await, Err("not_signed_in"));
    }
}

#[tokio::test]
async fn only_the_operator_issues_for_exactly_one_of_person_and_role_and_it_is_logged() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let user = lab.person(organization, "ada").await;
    let tenant = Caller::User { id: Some(user), organization, grants: Role::Owner.grants() };
    let own = IssueToken { organization, user: Some(user), role: None };
    assert_eq!(perform(&lab.context(tenant), &own).await.unwrap_err().code(), "operator_only");
    for (user, role) in [(None, None), (Some(user), Some(Role::Owner.into()))] {
        let refused = perform(&lab.operator(), &IssueToken { organization, user, role }).await.unwrap_err();
        assert_eq!(refused.code(), "invalid_input");
    }
    let elsewhere = lab.organization("Other").await;
    let stranger = IssueToken { organization: elsewhere, user: Some(user), role: None };
    assert_eq!(perform(&lab.operator(), &stranger).await.unwrap_err().code(), "not_found");
    let before = lab.count(EventKind::TokenCreated).await;
    let token = lab.perform(own).await.access_token;
    let events = lab.events().await;
    let event = events.iter().rfind(|event| event.kind == EventKind::TokenCreated).unwrap();
    assert_eq!(lab.count(EventKind::TokenCreated).await, before + 1);
    assert_eq!((event.actor_type.as_str(), event.actor_id.as_deref()), ("operator", Some("uid:1000")));
    assert_eq!(event.organization_id, Some(organization));
    assert!(!serde_json::to_string(event).unwrap().contains(token.expose()));
}
